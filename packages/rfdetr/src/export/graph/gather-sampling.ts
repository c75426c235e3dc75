// Bilinear sampling without GridSample, for runtimes that lack the operator or compute it wrongly.
import { ExportError, InternalError } from "../../support/errors.js";
import type { Attribute, Dim, ElementType, Graph, GraphNode, Origin, Value } from "./graph.js";

/**
 * Replaces each GridSample by gathers of the four neighbours of a point, weighted by their distance. Points beyond the
 * border read zeros. Source: PyTorch's `grid_sample` (bilinear, zero padding, corners not aligned).
 * @throws ExportError for sampling of another kind
 */
export function gatherSampling(graph: Graph): void {
  graph.rewrite((node) => (node.op === "GridSample" ? new Sampling(graph, node).nodes : [node]));
}

/** Offsets (x, y) of the four neighbours from the one at the top left. */
const neighbours = [0, 0, 1, 0, 0, 1, 1, 1];

class Sampling {
  readonly nodes: GraphNode[] = [];
  readonly #graph: Graph;
  readonly #origin: Origin;

  constructor(graph: Graph, node: GraphNode) {
    this.#graph = graph;
    this.#origin = node.origin;
    const { mode, padding_mode: padding, align_corners: aligned } = node.attributes;
    if (mode !== "bilinear" || padding !== "zeros" || aligned !== 0)
      throw new ExportError(`Expected bilinear sampling with zero padding but ${node.name} is ${mode} with ${padding}`);
    const [map, grid] = node.inputs as [Value, Value];
    this.#sample(map, grid, node.outputs[0]);
  }

  /** @param map `[N, C, H, W]` @param grid `[N, h, w, 2]` on the scale −1 to 1 @param result `[N, C, h, w]` */
  #sample(map: Value, grid: Value, result: Value): void {
    const [count, channels, height, width] = map.shape as [Dim, number, number, number];
    const [, rows, columns] = grid.shape as [Dim, number, number, number];
    const points = rows * columns;
    const { dtype } = grid;
    const shape = [count, points, 4, 2];
    const flat = this.#reshape(grid, [count, points, 1, 2]);
    const scaled = this.#emit("Mul", [flat, this.#numbers([width / 2, height / 2])], flat.shape);
    const place = this.#emit("Add", [scaled, this.#numbers([(width - 1) / 2, (height - 1) / 2])], flat.shape);
    const corner = this.#emit("Floor", [place], flat.shape);
    const near = this.#emit("Add", [corner, this.#numbers(neighbours, [4, 2])], shape);
    const distance = this.#emit("Abs", [this.#emit("Sub", [place, near], shape)], shape);
    const share = this.#emit("Sub", [this.#numbers([1], []), distance], shape);
    const low = this.#emit("Max", [near, this.#numbers([0], [])], shape);
    const inside = this.#emit("Min", [low, this.#numbers([width - 1, height - 1])], shape);
    const isInside = this.#emit("Equal", [near, inside], shape, { dtype: "bool" });
    const mask = this.#emit("Cast", [isInside], shape, { attributes: { to: 1 } });
    const [x, y] = this.#halves(this.#emit("Mul", [share, mask], shape));
    const weight = this.#emit("Mul", [x, y], [count, points, 4, 1]);
    const index = this.#index(inside, width, height * width);
    const tokens = this.#reshape(map, [count, channels, height * width]);
    const turned = this.#emit("Transpose", [tokens], [count, height * width, channels], {
      attributes: { perm: [0, 2, 1] },
      dtype: map.dtype,
    });
    const lines = this.#reshape(turned, [times(count, height * width), channels]);
    const read = this.#emit("Gather", [lines, index], [count, points, 4, channels], {
      attributes: { axis: 0 },
      dtype: map.dtype,
    });
    const weighted = this.#emit("Mul", [read, weight], read.shape);
    const summed = this.#emit("ReduceSum", [weighted, this.#integers([2])], [count, points, channels], {
      attributes: { keepdims: 0 },
    });
    const planes = this.#emit("Transpose", [summed], [count, channels, points], { attributes: { perm: [0, 2, 1] } });
    if (dtype !== "float32" || result.dtype !== "float32") throw new InternalError("Expected sampling in float32");
    this.#push("Reshape", [planes, this.#integers([count, channels, rows, columns].map(open))], [result], {});
  }

  /** Both values of the last axis, each with an axis of length 1. */
  #halves(pairs: Value): [Value, Value] {
    const shape = pairs.shape.with(-1, 1);
    const halves = [0, 1].map(() => this.#graph.value(this.#name("Split"), pairs.dtype, shape)) as [Value, Value];
    this.#push("Split", [pairs, this.#integers([1, 1])], halves, { axis: pairs.shape.length - 1 });
    return halves;
  }

  /** Rows of `[N·H·W, C]` for points `[N, P, 4, 2]`. */
  #index(inside: Value, width: number, area: number): Value {
    const [count, points] = inside.shape;
    const shape = [count, points, 4];
    const [x, y] = this.#halves(inside);
    const lines = this.#emit("Mul", [y, this.#numbers([width], [])], y.shape);
    const index = this.#reshape(this.#emit("Add", [x, lines], x.shape), shape);
    const whole = this.#emit("Cast", [index], shape, { attributes: { to: 7 }, dtype: "int64" });
    return this.#emit("Add", [whole, this.#starts(count, area)], shape, { dtype: "int64" });
  }

  /** Where each of N maps begins, `[N, 1, 1]`. */
  #starts(count: Dim, area: number): Value {
    if (typeof count === "number") {
      const starts = BigInt64Array.from({ length: count }, (_, i) => BigInt(i * area));
      return this.#graph.constant("starts", "int64", [count, 1, 1], starts);
    }
    const [input] = this.#graph.inputs;
    const batch = this.#emit("Shape", [input], [1], { attributes: { start: 0, end: 1 }, dtype: "int64" });
    const [zero, step, perImage] = [0, area, area * count.batch].map((each) =>
      this.#graph.constant("integer", "int64", [], BigInt64Array.of(BigInt(each))),
    ) as [Value, Value, Value];
    const end = this.#emit(
      "Mul",
      [this.#emit("Reshape", [batch, this.#integers([])], [], { dtype: "int64" }), perImage],
      [],
      { dtype: "int64" },
    );
    const starts = this.#emit("Range", [zero, end, step], [count], { dtype: "int64" });
    return this.#emit("Reshape", [starts, this.#integers([-1, 1, 1])], [count, 1, 1], { dtype: "int64" });
  }

  #reshape(value: Value, shape: readonly Dim[]): Value {
    return this.#emit("Reshape", [value, this.#integers(shape.map(open))], shape, { dtype: value.dtype });
  }

  #numbers(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#graph.constant("numbers", "float32", shape, Float32Array.from(values));
  }

  #integers(values: readonly number[]): Value {
    return this.#graph.constant("integers", "int64", [values.length], BigInt64Array.from(values, BigInt));
  }

  #name(op: string): string {
    return `${this.#origin.module}/${op}`;
  }

  #emit(
    op: string,
    inputs: readonly Value[],
    shape: readonly Dim[],
    {
      attributes = {},
      dtype = "float32",
    }: { attributes?: Readonly<Record<string, Attribute>>; dtype?: ElementType } = {},
  ): Value {
    const value = this.#graph.value(this.#name(op), dtype, shape);
    this.#push(op, inputs, [value], attributes);
    return value;
  }

  #push(
    op: string,
    inputs: readonly Value[],
    outputs: readonly Value[],
    attributes: Readonly<Record<string, Attribute>>,
  ): void {
    this.nodes.push(this.#graph.node(op, inputs, outputs, attributes, this.#origin));
  }
}

const open = (size: Dim): number => (typeof size === "number" ? size : -1);

function times(size: Dim, factor: number): Dim {
  return typeof size === "number" ? size * factor : { batch: size.batch * factor };
}
