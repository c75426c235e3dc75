// The graph of a file in its precision.
import type { RFDETRModel } from "../../model/rfdetr.js";
import type { ExportPrecision } from "../export-precisions.js";
import { clean } from "../graph/clean.js";
import { gatherSampling } from "../graph/gather-sampling.js";
import type { Graph } from "../graph/graph.js";
import { type GraphOptions, makeGraph } from "../graph/make-graph.js";
import type { ProofImages } from "../proof/proof-images.js";
import { beyondRange } from "./float16-range.js";
import { type Int8Island, int8Graph } from "./int8-graph.js";
import { type BeyondRange, lowerPrecision } from "./lower-precision.js";

/** What a graph is made from. */
export interface PreciseOptions extends GraphOptions {
  precision: ExportPrecision;
  /** Whether it samples with GridSample. */
  gridSample: boolean;
  /** Images to measure on; null where onnxruntime is not installed, so that nothing is measured. */
  images: ProofImages | null;
  /** Where to write files that are run to measure. */
  path: string;
  /** Images of the dataset to calibrate int8 on; default 32. */
  calibrationImages?: number;
  /** Called with the images or parts of the model that are measured, and how many there are. */
  progress: (done: number, total: number) => void;
}

/** A part of the model that is float32 for a measured reason. */
export interface Island {
  /** Path of the module. */
  module: string;
  /** What was measured. */
  why: string;
}

/**
 * Makes the graph of a model in a precision.
 * @returns the graph, and what is float32 in it beside what the policy keeps so
 */
export async function preciseGraph(
  model: RFDETRModel,
  options: PreciseOptions,
): Promise<{ graph: Graph; islands: Island[] }> {
  switch (options.precision) {
    case "fp32":
      return { graph: graphOf(model, options), islands: [] };
    case "fp16":
      return await float16Graph(model, options);
    case "int8":
      return await quantisedGraph(model, options);
  }
}

/** In float32. */
export function graphOf(model: RFDETRModel, options: GraphOptions & { gridSample: boolean }): Graph {
  const graph = makeGraph(model, options);
  if (options.gridSample) return graph;
  gatherSampling(graph);
  clean(graph);
  return graph;
}

async function float16Graph(model: RFDETRModel, options: PreciseOptions): Promise<{ graph: Graph; islands: Island[] }> {
  const { images, path } = options;
  const lowered = (raised: ReadonlySet<number>): { graph: Graph; beyond: BeyondRange[] } => {
    const graph = graphOf(model, { ...options, conversions: true });
    return { graph, beyond: lowerPrecision(graph, { dtype: "float16", form: "islands", raised }) };
  };
  const first = lowered(new Set());
  const single = images && graphOf(model, { ...options, batch: 1 });
  const found = images && single && (await beyondRange(first.graph, single, images, { path, dtype: "float16" }));
  const beyond = [...first.beyond, ...(found?.beyond ?? [])];
  const raised = new Set([...first.beyond.map(({ call }) => call), ...(found?.raised ?? [])]);
  if (raised.size === 0) return { graph: first.graph, islands: [] };
  const islands = beyond.map(({ module, operator, amax }) => ({
    module,
    why: `${operator} has values up to ${amax.toPrecision(3)}, and float16 ends at 65504`,
  }));
  return { graph: lowered(raised).graph, islands };
}

async function quantisedGraph(
  model: RFDETRModel,
  options: PreciseOptions,
): Promise<{ graph: Graph; islands: Island[] }> {
  const { graph, islands } = await int8Graph({
    ...options,
    graph: (batch) => graphOf(model, { ...options, batch }),
    numSelect: model.config.numSelect,
    calibrationImages: options.calibrationImages ?? 32,
  });
  return { graph, islands: islands.map((island) => ({ module: island.module, why: whyFloat32(island) })) };
}

/** Why a part stays float32 in an int8 file. @internal for tests */
export function whyFloat32({ flips, score }: Pick<Int8Island, "flips" | "score">): string {
  const alone =
    flips > 0
      ? `this part alone flips ${flips}`
      : `this part moves scores by ${score.toPrecision(2)} on average, alone`;
  return `int8 throughout flips too many detections of the calibration images; ${alone}`;
}
