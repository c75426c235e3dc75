// The graph that becomes an ONNX file: operators of ONNX, each with the place in the model that it comes from.
import type { CastRule, ModuleRule } from "@rfdetr/amp";
import { InternalError } from "../../support/errors.js";

/** Dtypes of values. */
export type ElementType =
  | "float32"
  | "float16"
  | "bfloat16"
  | "float64"
  | "int64"
  | "int32"
  | "int8"
  | "uint8"
  | "bool";

/** Length of an axis: a number, or a multiple of the batch size where that is open. */
export type Dim = number | { readonly batch: number };

/**
 * Elements of a constant in row-major order, as the file stores them: float16 and bfloat16 as their 16-bit patterns,
 * bool as bytes.
 */
export type ConstantData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int8Array
  | Uint8Array;

/** A tensor of the graph: an input, a constant, or the result of a node. */
export class Value {
  /** Which result of which call of the model it holds; null for what only the file has. */
  source: { readonly call: number; readonly result: number } | null = null;

  constructor(
    public name: string,
    public dtype: ElementType,
    public shape: readonly Dim[],
    /** The elements of a constant; null for what is computed. */
    public data: ConstantData | null = null,
  ) {}
}

/** Value of an attribute. A number is a float where it is written `{ float }`, else an integer. */
export type Attribute = number | { readonly float: number } | string | readonly number[];

/**
 * The pseudo-operator of a conversion that the model's own code makes under mixed precision: its attribute `to` is the
 * number of float32, or of float16 for the low precision of the training. No file has it: a pass of `precision/` takes
 * it away.
 */
export const conversion = "Conversion";

/** Where a node comes from, and what the training's precision does there. */
export interface Origin {
  /** Path of the module, such as `transformer.decoder.layers.0.norm1`; `""` for the model itself. */
  readonly module: string;
  /** Operator of libtorch that it stands for, such as `aten::linear`. */
  readonly operator: string;
  /** Number of the operator's call. The nodes of one call share it and stand together: GELU is five nodes. */
  readonly call: number;
  /** What the precision policy does with the operator there, overrides of modules included. */
  readonly rule: CastRule;
  /** The override that holds for the module; `policy` where there is none. */
  readonly moduleRule: ModuleRule;
}

/** One operator of ONNX. */
export interface GraphNode {
  /** Unique, such as `transformer.decoder.norm/LayerNormalization`. */
  name: string;
  /** Such as `MatMul`. */
  op: string;
  /** null for an optional input that is left out. */
  inputs: (Value | null)[];
  outputs: Value[];
  attributes: Readonly<Record<string, Attribute>>;
  origin: Origin;
}

/**
 * Nodes in an order in which they can run. Values are objects: a node reads another one's result by holding the same
 * {@link Value}.
 *
 * **How to write a pass.** A pass is a function that changes a graph in place. It walks `graph.nodes`, decides by `op`,
 * by dtypes and shapes of values, and by `origin`, and gives {@link Graph.rewrite} the nodes that replace each:
 *
 * - {@link Graph.value} makes a new result, {@link Graph.constant} a new constant; both take care of unique names.
 * - {@link Graph.node} makes a node with a unique name. A node made for another one takes over its `origin`.
 * - {@link Graph.replace} lets all readers of a value read another one instead, outputs of the graph included.
 * - Inputs and outputs of the graph keep name and dtype: the file's users rely on them.
 * - Run `clean` (clean.ts) afterwards: it drops nodes and constants that nobody reads, and joins equal constants.
 *
 * Casts that the model itself asks for vanish in a trace of float32, so a pass that lowers values follows
 * `origin.rule`, as autocast does: `lower` casts the floating-point inputs to the low precision, `fp32` to float32,
 * `widest` to the widest among them, `keep` leaves them to type promotion. A constant without axes is a number of the
 * model's code and follows the dtype of the other operand. Nodes of one `origin.call` are one kernel in training, which
 * computes in float32 inside and rounds once.
 * @example
 * graph.rewrite((node) => {
 *   if (node.op !== "Relu") return [node];
 *   const zero = graph.constant("zero", "float32", [], Float32Array.of(0));
 *   return [graph.node("Max", [node.inputs[0], zero], node.outputs, {}, node.origin)];
 * });
 */
export class Graph {
  nodes: GraphNode[] = [];
  readonly #valueNames = new Map<string, number>();
  readonly #nodeNames = new Map<string, number>();

  constructor(
    readonly inputs: readonly Value[],
    /** Results of the graph, in order. {@link replace} may change them. */
    public outputs: Value[] = [],
  ) {
    for (const { name } of inputs) this.#valueNames.set(name, 1);
  }

  /** A new value that a node computes. Its name is `name`, with a number behind it where that is taken. */
  value(name: string, dtype: ElementType, shape: readonly Dim[]): Value {
    return new Value(unique(this.#valueNames, name), dtype, shape);
  }

  /** A new constant. Its name is `name`, with a number behind it where that is taken. */
  constant(name: string, dtype: ElementType, shape: readonly number[], data: ConstantData): Value {
    if (data.length !== shape.reduce((a, b) => a * b, 1))
      throw new InternalError(`The constant ${name} has ${data.length} elements, which do not make [${shape}]`);
    return new Value(unique(this.#valueNames, name), dtype, shape, data);
  }

  /** A node that computes `outputs`; it is not yet part of the graph. */
  node(
    op: string,
    inputs: readonly (Value | null)[],
    outputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
    origin: Origin,
  ): GraphNode {
    const name = unique(this.#nodeNames, origin.module === "" ? op : `${origin.module}/${op}`);
    return { name, op, inputs: [...inputs], outputs: [...outputs], attributes, origin };
  }

  /** Puts the nodes that `change` returns in the place of each node: the node itself, others, or none. */
  rewrite(change: (node: GraphNode) => readonly GraphNode[]): void {
    this.nodes = this.nodes.flatMap(change);
  }

  /**
   * Lets every reader of `old` read `by` instead. An output of the graph hands its name on, and `old` takes another.
   */
  replace(old: Value, by: Value): void {
    for (const node of this.nodes) node.inputs = node.inputs.map((input) => (input === old ? by : input));
    if (!this.outputs.includes(old)) return;
    this.outputs = this.outputs.map((output) => (output === old ? by : output));
    const { name } = old;
    old.name = unique(this.#valueNames, name);
    by.name = name;
  }

  /** The nodes that read each value. Made anew by each call. */
  readers(): Map<Value, GraphNode[]> {
    const readers = new Map<Value, GraphNode[]>();
    for (const node of this.nodes)
      for (const input of new Set(node.inputs)) {
        if (input === null) continue;
        const list = readers.get(input);
        if (list === undefined) readers.set(input, [node]);
        else list.push(node);
      }
    return readers;
  }

  /** The node that computes each value. Made anew by each call. */
  producers(): Map<Value, GraphNode> {
    return new Map(this.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)));
  }

  /** The constants that nodes read or that are outputs, in the order of their first reader. */
  constants(): Value[] {
    const read = [...this.nodes.flatMap(({ inputs }) => inputs), ...this.outputs];
    return [...new Set(read)].filter((value): value is Value => value !== null && value.data !== null);
  }
}

function unique(taken: Map<string, number>, name: string): string {
  let free = name;
  for (let count = taken.get(name) ?? 0; taken.has(free); count++) {
    free = `${name}_${count}`;
    taken.set(name, count + 1);
  }
  taken.set(free, 1);
  return free;
}
