// Quantises products to int8: QuantizeLinear and DequantizeLinear around what is float32 in between. Runtimes compute
// the products between them in integers (Jacob et al. 2018, arXiv:1712.05877).
import { clean } from "../graph/clean.js";
import type { Graph, GraphNode, Value } from "../graph/graph.js";
import type { Range } from "./ranges.js";

/** A product with a constant weight, whose policy lowers it in training. */
export type Product = GraphNode;

/**
 * The products that int8 may compute: linear layers and convolutions, where mixed precision lowers them. What the
 * training keeps in float32 stays so, and so does the segmentation head: the search for what int8 harms looks at boxes
 * and scores alone.
 */
export function productsOf({ nodes }: Graph): Product[] {
  return nodes.filter(({ op, inputs: [, weight], origin }) => {
    if (origin.rule !== "lower" || origin.moduleRule === "bf16" || weight?.dtype !== "float32") return false;
    if (origin.module.split(".")[0] === "segmentation_head") return false;
    return weight.data !== null && (op === "Conv" || (op === "MatMul" && weight.shape.length === 2));
  });
}

/** The values of a product whose ranges must be known: what it reads, and what a convolution gives. */
export function calibratedValues({ op, inputs, outputs }: Product): Value[] {
  return op === "Conv" ? [inputs[0] as Value, outputs[0]] : [inputs[0] as Value];
}

/**
 * Quantises products in place. Weights are int8, symmetric, with a scale for each output channel; activations
 * uint8 with one scale and zero point.
 * @param ranges of the {@link calibratedValues} of each product that becomes int8
 */
export function quantise(graph: Graph, ranges: ReadonlyMap<Product, readonly Range[]>): void {
  const rounding = new Rounding(graph);
  graph.rewrite((node) => {
    const found = ranges.get(node);
    if (found === undefined) return [node];
    const [input, weight, ...bias] = node.inputs as Value[];
    const before = rounding.activation(input, found[0], node);
    const stored = rounding.weight(weight, node);
    node.inputs = [before.result, stored.result, ...bias];
    if (node.op !== "Conv") return [...before.nodes, ...stored.nodes, node];
    // Runtimes convolve in integers only where the result is rounded too.
    const [output] = node.outputs;
    const product = graph.value(`${output.name}.product`, "float32", output.shape);
    node.outputs = [product];
    const after = rounding.activation(product, found[1], node, output);
    return [...before.nodes, ...stored.nodes, node, ...after.nodes];
  });
  clean(graph);
}

/** Rounded values with the nodes that make them. */
interface Rounded {
  result: Value;
  nodes: GraphNode[];
}

class Rounding {
  readonly #activations = new Map<Value, Value>();
  constructor(readonly graph: Graph) {}

  /** A value in eight bits and back; `result` may be given. */
  activation(value: Value, { min, max }: Range, { origin }: GraphNode, result?: Value): Rounded {
    const { graph } = this;
    const known = this.#activations.get(value);
    if (known !== undefined) return { result: known, nodes: [] };
    const step = Math.fround((max - min) / 255) || 1;
    const scale = graph.constant("scale", "float32", [], Float32Array.of(step));
    const zero = graph.constant("zero_point", "uint8", [], Uint8Array.of(clamp(Math.round(-min / step), 0, 255)));
    const low = graph.value(`${value.name}.uint8`, "uint8", value.shape);
    const wide = result ?? graph.value(`${value.name}.rounded`, "float32", value.shape);
    this.#activations.set(value, wide);
    return {
      result: wide,
      nodes: [
        graph.node("QuantizeLinear", [value, scale, zero], [low], {}, origin),
        graph.node("DequantizeLinear", [low, scale, zero], [wide], {}, origin),
      ],
    };
  }

  /** A weight, stored in eight bits. */
  weight(weight: Value, { op, origin }: GraphNode): Rounded {
    const { graph } = this;
    const axis = op === "Conv" ? 0 : 1;
    const { scales, elements } = quantiseWeight(weight, axis);
    const shape = weight.shape as number[];
    const low = graph.constant(`${weight.name}.int8`, "int8", shape, elements);
    const scale = graph.constant(`${weight.name}.scale`, "float32", [scales.length], scales);
    const zero = graph.constant(`${weight.name}.zero_point`, "int8", [scales.length], new Int8Array(scales.length));
    const result = graph.value(`${weight.name}.rounded`, "float32", shape);
    return { result, nodes: [graph.node("DequantizeLinear", [low, scale, zero], [result], { axis }, origin)] };
  }
}

const clamp = (value: number, least: number, most: number): number => Math.max(least, Math.min(most, value));

/**
 * Largest int8 of a weight. Processors with AVX2 and without VNNI add two products in 16 bits, and cut off what does
 * not fit: uint8 times 7 bits always fits.
 */
const largestWeight = 63;

/**
 * Symmetric int8 with a scale for each index of an axis.
 * @internal for tests
 */
export function quantiseWeight(
  { data, shape }: Pick<Value, "data" | "shape">,
  axis: number,
): { scales: Float32Array; elements: Int8Array } {
  const weights = data as Float32Array;
  const sizes = shape as number[];
  const inner = sizes.slice(axis + 1).reduce((a, b) => a * b, 1);
  const channelOf = (i: number): number => Math.floor(i / inner) % sizes[axis];
  const scales = new Float32Array(sizes[axis]);
  weights.forEach((weight, i) => {
    scales[channelOf(i)] = Math.max(scales[channelOf(i)], Math.abs(weight));
  });
  for (let c = 0; c < scales.length; c++) scales[c] = scales[c] / largestWeight || 1;
  const elements = Int8Array.from(weights, (weight, i) =>
    clamp(Math.round(weight / scales[channelOf(i)]), -largestWeight, largestWeight),
  );
  return { scales, elements };
}
