// From a model to the graph of its file.
import { defaultPolicy, type Overrides, type Policy } from "@rfdetr/amp";
import { zeros } from "@rfdetr/torch";
import { modelOverrides } from "../../model/precision/precision.js";
import { markConversions } from "../precision/watch-autocast.js";
import { clean } from "./clean.js";
import type { Graph } from "./graph.js";
import { lower } from "./lower.js";
import { maskModule } from "./mask-logits.js";
import { openBatch } from "./open-batch.js";
import { type TracedModel, trace } from "./trace.js";

/** What the graph of a model is made for. */
export interface GraphOptions {
  /** Images in a batch; `dynamic` leaves the number open. */
  batch: number | "dynamic";
  /** Of the images, in pixels. */
  height: number;
  width: number;
  /** Precision policy of the training; default {@link defaultPolicy}. */
  policy?: Policy;
  /** Rules of modules by path pattern in the training, beside those of the model. */
  overrides?: Overrides;
  /** Whether to mark the conversions of the model's own code, for `lowerPrecision`. */
  conversions?: boolean;
}

/** Batch sizes that show what follows the batch: not 1, whose axes look like any other of length 1. */
const probes = [2, 3] as const;

/**
 * Makes the graph of a model in float32: `input` `[B, 3, H, W]` → `dets` `[B, Q, 4]` (centre x, centre y, width, height
 * as fractions of the image), `labels` `[B, Q, C]` (logits), and of a model with a segmentation head `masks`
 * `[B, Q, h, w]` (logits), which are float32 in every precision.
 * @param model in evaluation mode, float32, on the CPU
 * @throws ModelConfigError if the model cannot have this height and width
 * @throws ExportError for an operator that the table of operators does not have
 */
export function makeGraph(model: TracedModel, options: GraphOptions): Graph {
  const { batch, height, width, policy = defaultPolicy, overrides = {} } = options;
  const record = (size: number) => {
    using images = zeros([size, 3, height, width]);
    return trace(model, images);
  };
  const recorded = batch === "dynamic" ? openBatch(record(probes[0]), record(probes[1]), probes) : record(batch);
  const training = { policy, overrides: { ...modelOverrides, ...overrides, [maskModule]: "fp32" as const } };
  const size = [batch === "dynamic" ? probes[0] : batch, height, width] as const;
  const graph = lower(options.conversions ? markConversions(recorded, model, size, training) : recorded, training);
  clean(graph);
  return graph;
}
