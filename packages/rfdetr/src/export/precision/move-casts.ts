// Fewer casts: one before nodes that only lay out, in the place of several behind them.
import type { Dim, Graph, GraphNode, Value } from "../graph/graph.js";

/** Operators whose results are elements of their first input. */
export const layouts: ReadonlySet<string> = new Set([
  ...["Reshape", "Transpose", "Split", "Slice", "Expand", "Gather", "GatherElements"],
]);

/**
 * Moves casts ahead of nodes that only lay out, where that takes casts away or lets less memory move: rounding and
 * moving an element give the same in either order.
 */
export function moveCasts(graph: Graph): void {
  while (graph.nodes.toReversed().some((node) => moveCast(graph, node)));
}

/** @returns whether casts behind a node now stand before it */
function moveCast(graph: Graph, node: GraphNode): boolean {
  if (!layouts.has(node.op) || node.outputs.some((output) => graph.outputs.includes(output))) return false;
  const readers = graph.readers();
  const behind = node.outputs.flatMap((output) => readers.get(output) ?? []);
  const [input] = node.inputs as [Value];
  const dtype = behind[0]?.outputs[0].dtype;
  if (input.data !== null || dtype === undefined || dtype === input.dtype) return false;
  if (!behind.every(({ op, outputs: [output] }) => op === "Cast" && output.dtype === dtype)) return false;
  const isCast = ({ op, outputs: [output] }: GraphNode): boolean => op === "Cast" && output.dtype === dtype;
  const source = graph.nodes.find(({ op, outputs }) => op === "Cast" && outputs[0] === input)?.inputs[0];
  // Widening and narrowing again changes nothing.
  const narrow = source?.dtype === dtype && dtype !== "float32" ? source : null;
  const beside = (readers.get(input) ?? []).filter(isCast);
  const lessMoves =
    dtype !== "float32" && elements(input) <= node.outputs.reduce((sum, each) => sum + elements(each), 0);
  if (narrow === null && beside.length === 0 && behind.length === 1 && !lessMoves) return false;
  const cast = graph.value(`${input.name}.${dtype}`, dtype, input.shape);
  const { attributes, origin } = behind[0];
  const before = narrow === null ? [graph.node("Cast", [input], [cast], attributes, origin)] : [];
  for (const output of node.outputs) output.dtype = dtype;
  for (const { inputs, outputs } of behind) graph.replace(outputs[0], inputs[0] as Value);
  for (const { outputs } of beside) graph.replace(outputs[0], cast);
  node.inputs[0] = narrow ?? cast;
  const gone = new Set([...behind, ...(narrow === null ? beside : [])]);
  const first = graph.nodes.find((each) => gone.has(each) || each === node);
  graph.rewrite((each) => [...(each === first ? before : []), ...(gone.has(each) ? [] : [each])]);
  return true;
}

/** Elements of a value with one image. */
function elements({ shape }: { shape: readonly Dim[] }): number {
  return shape.reduce<number>((product, size) => product * (typeof size === "number" ? size : size.batch), 1);
}
