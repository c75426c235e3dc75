// Lowers a graph to float16 or bfloat16 as the training's autocast does, and beside it as converters do that know no
// policy.

import { append } from "../../support/lists.js";
import { elementCode } from "../graph/call.js";
import { clean } from "../graph/clean.js";
import { conversion, type Dim, type ElementType, type Graph, type GraphNode, type Value } from "../graph/graph.js";
import { convertConstant, isFloat, type LowPrecision, largest, magnitude } from "./convert-constant.js";
import { moveCasts } from "./move-casts.js";

/** How a graph is lowered. */
export interface LoweringOptions {
  dtype: LowPrecision;
  /**
   * `islands`: what autocast lowers is in the low precision; what it raises stays float32; what it keeps has the dtype
   * of its operands. `whole`: all of it is in the low precision, as converters do that know no policy.
   */
  form: "islands" | "whole";
  /** Calls that stay float32 whatever their rule: see `Origin.call`. */
  raised?: ReadonlySet<number>;
}

/** A place where a number does not fit the low precision. */
export interface BeyondRange {
  /** See `Origin.call`. */
  call: number;
  /** Path of the module; `""` for the model itself. */
  module: string;
  /** Operator of libtorch, such as `aten::linear`. */
  operator: string;
  /** Largest magnitude that was found. */
  amax: number;
}

/**
 * Lowers a float32 graph in place. Inputs and outputs stay float32. Constants are stored in the dtypes that nodes read
 * them in. The casts between both are as few as the rules allow.
 * @param graph of `makeGraph` with `conversions`, which mark what the model itself converts
 * @returns the constants that the low precision cannot hold
 * @example
 * import { lowerPrecision, makeGraph } from "rfdetr/export";
 * const graph = makeGraph(model, { batch: 1, height: 384, width: 384, conversions: true });
 * lowerPrecision(graph, { dtype: "float16", form: "islands" });
 */
export function lowerPrecision(graph: Graph, options: LoweringOptions): BeyondRange[] {
  const lowering = new Lowering(graph, options);
  graph.rewrite((node) => lowering.node(node));
  lowering.finish();
  moveCasts(graph);
  clean(graph);
  return lowering.beyond;
}

/** Operators that have no bfloat16 in opset 17. */
const withoutBfloat16: ReadonlySet<string> = new Set([
  ...["Conv", "ConvTranspose", "GridSample", "TopK", "Sin", "Cos", "Range", "ReduceMax"],
]);

class Lowering {
  readonly beyond: BeyondRange[] = [];
  readonly #converted = new Map<Value, Map<ElementType, Value>>();
  /** What casts read, by their results. */
  readonly #sources = new Map<Value, Value>();
  /** Dtypes in which calls compute. */
  readonly #dtypes = new Map<number, ElementType>();
  /** Values that nodes of each call read but do not make. */
  readonly #operands = new Map<number, Set<Value>>();

  constructor(
    readonly graph: Graph,
    readonly options: LoweringOptions,
  ) {
    const made = new Map<Value, number>();
    for (const { inputs, outputs, origin } of graph.nodes) {
      for (const output of outputs) made.set(output, origin.call);
      const operands = this.#operands.get(origin.call) ?? new Set();
      this.#operands.set(origin.call, operands);
      for (const input of inputs) if (input !== null && made.get(input) !== origin.call) operands.add(input);
    }
  }

  node(node: GraphNode): GraphNode[] {
    if (node.op === conversion) return this.#conversion(node);
    const { dtype: low } = this.options;
    const dtype = low === "bfloat16" && withoutBfloat16.has(node.op) ? "float32" : this.#dtypeOf(node);
    const casts: GraphNode[] = [];
    node.inputs = node.inputs.map((input) => (input === null ? null : this.#cast(input, dtype, node, casts)));
    for (const output of node.outputs) if (isFloat(output.dtype)) output.dtype = dtype;
    if (node.op === "Cast" && isFloat(node.outputs[0].dtype)) node.attributes = { to: elementCode[dtype] };
    return [...casts, node];
  }

  /** Outputs of the graph are float32 and keep their names. */
  finish(): void {
    const { graph } = this;
    const casts: GraphNode[] = [];
    const producers = graph.producers();
    for (const output of [...graph.outputs]) {
      const producer = producers.get(output);
      if (producer === undefined || output.dtype === "float32") continue;
      const [wide, low] = [graph.value(output.name, "float32", output.shape), output];
      casts.push(graph.node("Cast", [low], [wide], { to: elementCode.float32 }, producer.origin));
      const readers = graph.nodes.filter(({ inputs }) => inputs.includes(low));
      graph.replace(low, wide);
      for (const reader of readers) reader.inputs = reader.inputs.map((input) => (input === wide ? low : input));
    }
    append(graph.nodes, casts);
  }

  /** What the model itself converts; converters that know no policy do not see it. */
  #conversion(node: GraphNode): GraphNode[] {
    const [value] = node.inputs as [Value];
    const { dtype, form } = this.options;
    const wanted = node.attributes.to === elementCode.float32 ? "float32" : dtype;
    const casts: GraphNode[] = [];
    const made = form === "whole" ? value : this.#cast(value, wanted, node, casts);
    this.graph.replace(node.outputs[0], made);
    for (const operands of this.#operands.values()) if (operands.delete(node.outputs[0])) operands.add(made);
    return casts;
  }

  /** The dtype in which a node computes. Nodes of one call have one. */
  #dtypeOf({ origin }: GraphNode): ElementType {
    const { dtype, form, raised } = this.options;
    if (form === "whole") return dtype;
    const known = this.#dtypes.get(origin.call);
    if (known !== undefined && origin.call >= 0) return known;
    const { rule, moduleRule } = origin;
    // A module that leaves the range of float16 has bfloat16 in training, which few runtimes compute in.
    const low = moduleRule === "bf16" && dtype === "float16" ? "float32" : dtype;
    const found =
      rule === "fp32" || raised?.has(origin.call) ? "float32" : rule === "lower" ? low : this.#widest(origin.call);
    this.#dtypes.set(origin.call, found);
    return found;
  }

  /** Numbers without axes take part in no promotion. */
  #widest(call: number): ElementType {
    const operands = [...(this.#operands.get(call) ?? [])].filter(
      ({ dtype, shape }) => isFloat(dtype) && shape.length > 0,
    );
    const isLow = operands.length > 0 && operands.every(({ dtype }) => dtype === this.options.dtype);
    return isLow ? this.options.dtype : "float32";
  }

  #cast(value: Value, dtype: ElementType, { origin }: GraphNode, casts: GraphNode[]): Value {
    if (!isFloat(value.dtype) || value.dtype === dtype) return value;
    const source = this.#sources.get(value);
    // Widening and narrowing again changes nothing.
    if (source?.dtype === dtype && dtype !== "float32") return source;
    const converted = this.#converted.get(value) ?? new Map<ElementType, Value>();
    this.#converted.set(value, converted);
    let made = converted.get(dtype);
    if (made === undefined) {
      made = value.data === null ? this.#castNode(value, dtype, origin, casts) : this.#constant(value, dtype, origin);
      converted.set(dtype, made);
    }
    return made;
  }

  #castNode(value: Value, dtype: ElementType, origin: GraphNode["origin"], casts: GraphNode[]): Value {
    const made = this.graph.value(`${value.name}.${dtype}`, dtype, value.shape as readonly Dim[]);
    casts.push(this.graph.node("Cast", [value], [made], { to: elementCode[dtype] }, origin));
    this.#sources.set(made, value);
    return made;
  }

  #constant(value: Value, dtype: ElementType, { call, module, operator }: GraphNode["origin"]): Value {
    const amax = magnitude(value);
    if (amax > largest[dtype as LowPrecision]) this.beyond.push({ call, module, operator, amax });
    return convertConstant(this.graph, value, dtype as LowPrecision);
  }
}
