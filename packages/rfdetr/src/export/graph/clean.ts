// The clean-up of a graph: removes nodes that compute nothing, nodes that repeat another, and nodes without a reader.
import { createHash } from "node:crypto";
import type { Dim, Graph, GraphNode, Value } from "./graph.js";

/** Removes and joins what it can until nothing changes. The graph computes the same, to the bit. */
export function clean(graph: Graph): void {
  for (let before = Number.POSITIVE_INFINITY; graph.nodes.length < before; ) {
    before = graph.nodes.length;
    joinConstants(graph);
    removeIdentities(graph);
    joinLayouts(graph);
    joinEqualNodes(graph);
    removeUnread(graph);
  }
}

const same = (a: readonly Dim[], b: readonly Dim[]): boolean => shapeKey(a) === shapeKey(b);
const shapeKey = (shape: readonly Dim[]): string => JSON.stringify(shape);

/** Constants with equal elements become one. */
function joinConstants(graph: Graph): void {
  const first = new Map<string, Value>();
  const joined = new Map<Value, Value>();
  for (const value of graph.constants()) {
    const { buffer, byteOffset, byteLength } = value.data as NonNullable<Value["data"]>;
    const hash = createHash("sha1")
      .update(Buffer.from(buffer, byteOffset, byteLength))
      .digest("hex");
    const key = `${value.dtype} ${shapeKey(value.shape)} ${hash}`;
    const known = first.get(key);
    if (known === undefined) first.set(key, value);
    else joined.set(value, known);
  }
  if (joined.size === 0) return;
  for (const node of graph.nodes) node.inputs = node.inputs.map((input) => (input && joined.get(input)) ?? input);
}

/** Whether every element of a constant is a number. */
function isAll({ data }: Value, number: number): boolean {
  return data !== null && data.length > 0 && (data as Float32Array).every((each) => Number(each) === number);
}

/** The input that a node returns as it is; null where it changes something. */
function passedOn({ op, inputs, outputs, attributes }: GraphNode): Value | null {
  const [input, second] = inputs as [Value, Value | undefined];
  const [output] = outputs;
  if (output === undefined || input.dtype !== output.dtype || !same(input.shape, output.shape)) return null;
  if (["Reshape", "Expand", "Cast", "Identity", "Slice"].includes(op)) return input;
  if (op === "Transpose") return (attributes.perm as number[]).every((axis, i) => axis === i) ? input : null;
  if (op === "Concat" || op === "Split") return inputs.length === 1 || outputs.length === 1 ? input : null;
  if (second === undefined) return null;
  // x + 0 is x but for the sign of zero, which integers do not have.
  if (op === "Add" && input.dtype === "int64") return isAll(second, 0) ? input : null;
  return (op === "Mul" || op === "Div") && isAll(second, 1) ? input : null;
}

function removeIdentities(graph: Graph): void {
  for (const node of graph.nodes) {
    const input = passedOn(node);
    if (input === null || input.data !== null) continue;
    const isNamed = graph.inputs.includes(input) || graph.outputs.includes(input);
    // Inputs and outputs keep their names, so that one cannot stand for another.
    if (!(isNamed && graph.outputs.includes(node.outputs[0]))) graph.replace(node.outputs[0], input);
  }
}

/** Whether a permutation moves axes of length 1 only. */
function keepsOrder(perm: readonly number[], shape: readonly Dim[]): boolean {
  const moved = perm.filter((axis) => shape[axis] !== 1);
  return moved.every((axis, i) => i === 0 || axis > moved[i - 1]);
}

/** Reshapes and transpositions behind one another become one. */
function joinLayouts(graph: Graph): void {
  const producers = graph.producers();
  graph.rewrite((node) => {
    const [input] = node.inputs as [Value];
    const before = producers.get(input);
    if (node.op === "Reshape") {
      if (before?.op === "Reshape") node.inputs[0] = before.inputs[0];
      return [node];
    }
    if (node.op !== "Transpose") return [node];
    const perm = node.attributes.perm as number[];
    if (keepsOrder(perm, input.shape) && node.outputs[0].shape.filter((size) => typeof size !== "number").length < 2) {
      const sizes = node.outputs[0].shape.map((size) => BigInt(typeof size === "number" ? size : -1));
      const shape = graph.constant("integers", "int64", [sizes.length], BigInt64Array.from(sizes));
      const reshape = graph.node("Reshape", [input, shape], node.outputs, {}, node.origin);
      producers.set(node.outputs[0], reshape);
      if (before?.op === "Reshape") reshape.inputs[0] = before.inputs[0];
      return [reshape];
    }
    if (before?.op === "Transpose") {
      const first = before.attributes.perm as number[];
      node.attributes = { perm: perm.map((axis) => first[axis]) };
      node.inputs[0] = before.inputs[0];
    }
    return [node];
  });
}

/** Nodes that compute the same from the same become one, where the precision policy treats them alike. */
function joinEqualNodes(graph: Graph): void {
  const numbers = new Map<Value | null, number>([[null, -1]]);
  const numberOf = (value: Value | null): number => {
    const known = numbers.get(value) ?? numbers.size;
    numbers.set(value, known);
    return known;
  };
  const first = new Map<string, GraphNode>();
  for (const node of graph.nodes) {
    const outputs = node.outputs.map(({ dtype }) => dtype);
    const key = JSON.stringify([node.op, node.inputs.map(numberOf), node.attributes, outputs, node.origin.rule]);
    const known = first.get(key);
    if (known === undefined) {
      first.set(key, node);
      continue;
    }
    if (node.outputs.some((output) => graph.outputs.includes(output))) continue;
    for (const [i, output] of node.outputs.entries()) graph.replace(output, known.outputs[i]);
  }
}

/** Removes nodes whose results no other node reads. */
function removeUnread(graph: Graph): void {
  const read = new Set<Value | null>(graph.outputs);
  const kept: GraphNode[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => read.has(output))) continue;
    for (const input of node.inputs) read.add(input);
    kept.push(node);
  }
  graph.nodes = kept.reverse();
}
