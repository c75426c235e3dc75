// Where an exported file begins to differ from the model: intermediate tensors compared one by one.
import type { Tensor } from "@rfdetr/torch";
import { nodeRuntime } from "../../onnx/node-runtime.js";
import type { ExportPrecision } from "../export-precisions.js";
import type { Graph, Value } from "../graph/graph.js";
import { type TracedModel, watchCalls } from "../graph/trace.js";
import { writeOnnx } from "../write-onnx.js";

/** A tensor that differs. */
export interface Difference {
  /** Path of the module that computes it. */
  module: string;
  /** Operator of libtorch, such as `aten::linear`. */
  operator: string;
  /** Root of the summed squares of the differences, over that of the model's values. */
  relative: number;
}

/** Relative differences that rounding makes. */
const rounding: Readonly<Record<ExportPrecision, number>> = { fp32: 1e-3, fp16: 0.02, int8: 0.3 };

/**
 * Runs the graph with the last tensor of each module as an output, and finds the first that differs by more than
 * rounding, in the order in which the model computes; or else the one that differs most.
 * @param path where to write the file that has these outputs
 * @returns null where no tensor can be compared
 */
export async function firstDifference(
  graph: Graph,
  model: TracedModel,
  images: Tensor,
  { path, precision }: { path: string; precision: ExportPrecision },
): Promise<Difference | null> {
  const values = lastOfModules(graph);
  writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "", also: [...values.keys()] });
  const { InferenceSession: Session, Tensor: Input } = await nodeRuntime();
  const session = await Session.create(path, { logSeverityLevel: 3 });
  const { data } = { data: images.toArray() as Float32Array };
  const outputs = await session.run({ input: new Input("float32", data, images.shape) });
  const differences = new Map<Value, Difference>();
  watchCalls(model, images, (call, results) => {
    for (const [value, { module, operator }] of values) {
      if (value.source?.call !== call) continue;
      const ours = results[value.source.result].toArray() as Float32Array;
      const theirs = outputs[value.name].data as Float32Array;
      differences.set(value, { module, operator, relative: relativeError(ours, theirs) });
    }
  });
  await session.release();
  const found = [...values.keys()].flatMap((value) => differences.get(value) ?? []);
  // NaN is beyond every limit.
  return found.find(({ relative }) => !(relative <= rounding[precision])) ?? worst(found);
}

function worst(found: readonly Difference[]): Difference | null {
  return found.reduce<Difference | null>((a, b) => (a === null || b.relative > a.relative ? b : a), null);
}

/** The float32 values that the model computes too, the last of each stretch of nodes in one module. */
function lastOfModules({ nodes }: Graph): Map<Value, { module: string; operator: string }> {
  const last = new Map<Value, { module: string; operator: string }>();
  nodes.forEach(({ outputs: [output], origin: { module, operator } }, i) => {
    if (output.source === null || output.dtype !== "float32") return;
    if (nodes[i + 1]?.origin.module !== module) last.set(output, { module, operator });
  });
  return last;
}

function relativeError(ours: Float32Array, theirs: Float32Array): number {
  let [difference, size] = [0, 0];
  for (let i = 0; i < ours.length; i++) {
    difference += (ours[i] - theirs[i]) ** 2;
    size += ours[i] ** 2;
  }
  return Math.sqrt(difference / Math.max(size, Number.MIN_VALUE));
}
