// Graphs of an export, checked and run in onnxruntime.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { InferenceSession, Tensor as OrtTensor } from "onnxruntime-node";
import type { Graph, Value } from "../../export/graph/graph.js";
import { writeOnnx } from "../../export/write-onnx.js";

/** What is wrong with a graph: names that are not unique, and values that are read before they are there. */
export function faultsOf(graph: Graph): string[] {
  const faults: string[] = [];
  const known = new Set<Value | null>([null, ...graph.inputs, ...graph.constants()]);
  const names = [...known].flatMap((value) => value?.name ?? []);
  for (const node of graph.nodes) {
    for (const input of node.inputs) if (!known.has(input)) faults.push(`${node.name} reads ${input?.name} too early`);
    for (const output of node.outputs) known.add(output);
    names.push(...node.outputs.map(({ name }) => name));
  }
  for (const output of graph.outputs) if (!known.has(output)) faults.push(`nothing computes ${output.name}`);
  const twice = (all: readonly string[]) => all.filter((name, i) => all.indexOf(name) !== i);
  return [...faults, ...twice(names), ...twice(graph.nodes.map(({ name }) => name))];
}

/** Runs a graph. @returns its outputs by name */
export async function runGraph(
  graph: Graph,
  input: Float32Array,
  shape: readonly number[],
): Promise<Record<string, { data: Float32Array; dims: readonly number[] }>> {
  const folder = mkdtempSync(join(tmpdir(), "graph-"));
  try {
    const path = join(folder, "graph.onnx");
    writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "test" });
    const session = await InferenceSession.create(path, { logSeverityLevel: 3 });
    const outputs = await session.run({ input: new OrtTensor("float32", input, shape) });
    await session.release();
    return Object.fromEntries(
      Object.entries(outputs).map(([name, { data, dims }]) => [name, { data: data as Float32Array, dims }]),
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
