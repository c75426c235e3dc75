// One traced call as the table of operators sees it: its arguments by name, and how to emit nodes for it.
import { InternalError } from "../../support/errors.js";
import type { Attribute, Dim, ElementType, Graph, GraphNode, Origin, Value } from "./graph.js";
import { isTraced, type TracedArgument, type TracedCall, type TracedTensor } from "./trace.js";

/** What the lowering of a graph knows beside a call. */
export interface Lowering {
  readonly graph: Graph;
  /** The value of a traced tensor. */
  readonly read: (tensor: TracedTensor) => Value;
  /** The batch size as an int64 value `[1]`, where it is open. */
  readonly batch: () => Value;
}

/** A call with the means to emit nodes in its place. */
export class Call {
  readonly nodes: GraphNode[] = [];
  constructor(
    readonly traced: TracedCall,
    readonly origin: Origin,
    readonly lowering: Lowering,
  ) {}

  /** An argument by the name that the operator's schema gives it. */
  argument(name: string): TracedArgument {
    const at = this.traced.op.arguments.findIndex((each) => each.name === name);
    if (at < 0) throw new InternalError(`${this.traced.op} has no argument ${name}`);
    return this.traced.args[at];
  }

  has(name: string): boolean {
    return this.argument(name) !== undefined && this.argument(name) !== null;
  }

  /** @throws InternalError if it is no tensor */
  tensor(name: string): TracedTensor {
    const value = this.argument(name);
    if (!isTraced(value)) throw new InternalError(`${this.traced.op} has no tensor ${name}`);
    return value;
  }

  input(name: string): Value {
    return this.lowering.read(this.tensor(name));
  }

  inputs(name: string): Value[] {
    return (this.argument(name) as readonly TracedTensor[]).map((tensor) => this.lowering.read(tensor));
  }

  /** A number of the call; `otherwise` where it is left out. @throws InternalError if it follows an open batch */
  number(name: string, otherwise?: number): number {
    const value = this.argument(name) ?? otherwise;
    if (typeof value !== "number") throw new InternalError(`${this.traced.op} has no number ${name}`);
    return value;
  }

  /** Numbers of the call; one number stands for `count` equal ones. */
  numbers(name: string, count: number, otherwise: number): number[] {
    const value = this.argument(name) ?? otherwise;
    return typeof value === "number" ? new Array<number>(count).fill(value) : (value as number[]);
  }

  flag(name: string, otherwise = false): boolean {
    return (this.argument(name) ?? otherwise) as boolean;
  }

  /** An axis counted from the front. */
  axis(name: string, rank: number, otherwise?: number): number {
    const axis = this.number(name, otherwise);
    return axis < 0 ? axis + rank : axis;
  }

  get result(): TracedTensor {
    return this.traced.results[0];
  }

  /** Adds a node with one result: by default of the call's own shape and dtype. */
  emit(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>> = {},
    {
      shape = this.result.shape,
      dtype = elementType(this.result),
    }: { shape?: readonly Dim[]; dtype?: ElementType } = {},
  ): Value {
    const [made] = this.emitMany(op, inputs, attributes, [{ shape, dtype }]);
    return made;
  }

  /** Adds a node with several results. */
  emitMany(
    op: string,
    inputs: readonly (Value | null)[],
    attributes: Readonly<Record<string, Attribute>>,
    results: readonly { shape: readonly Dim[]; dtype: ElementType }[],
  ): Value[] {
    const { graph } = this.lowering;
    const { module } = this.origin;
    const values = results.map(({ shape, dtype }) => graph.value(module === "" ? op : `${module}/${op}`, dtype, shape));
    this.nodes.push(graph.node(op, inputs, values, attributes, this.origin));
    return values;
  }

  /** A number without axes. */
  scalar(value: number, dtype: ElementType): Value {
    const data = dtype === "int64" ? BigInt64Array.of(BigInt(value)) : Float32Array.of(value);
    if (dtype !== "int64" && dtype !== "float32") throw new InternalError(`No number of ${dtype} is written`);
    return this.lowering.graph.constant(`number_${value}`, dtype, [], data);
  }

  /** A list of integers, as ONNX takes axes and shapes. */
  integers(values: readonly number[]): Value {
    return this.lowering.graph.constant("integers", "int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  /** Brings a value to another shape. At most one axis follows an open batch. */
  reshape(value: Value, shape: readonly Dim[] = this.result.shape): Value {
    const open = shape.filter((size) => typeof size !== "number");
    if (open.length > 1)
      throw new InternalError(`Two axes of ${this.traced.op} in ${this.origin.module} follow the batch`);
    const sizes = shape.map((size) => (typeof size === "number" ? size : -1));
    return this.emit("Reshape", [value, this.integers(sizes)], {}, { shape, dtype: value.dtype });
  }

  /** A size that may follow the batch, as an int64 value `[1]`. */
  size(size: Dim): Value {
    if (typeof size === "number") return this.integers([size]);
    const batch = this.lowering.batch();
    if (size.batch === 1) return batch;
    return this.emit("Mul", [batch, this.integers([size.batch])], {}, { shape: [1], dtype: "int64" });
  }

  /** A value in a dtype. */
  cast(value: Value, dtype: ElementType): Value {
    if (value.dtype === dtype) return value;
    return this.emit("Cast", [value], { to: elementCode[dtype] }, { shape: value.shape, dtype });
  }
}

/** ONNX's numbers of dtypes: `TensorProto.DataType`. */
export const elementCode: Readonly<Record<ElementType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  bfloat16: 16,
};

/** @throws InternalError for a dtype that no graph has */
export function elementType({ dtype }: TracedTensor): ElementType {
  if (dtype in elementCode) return dtype as ElementType;
  throw new InternalError(`No graph has values of ${dtype}`);
}
