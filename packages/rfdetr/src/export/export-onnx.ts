// The export of weights as an ONNX file: graph, file, proof.

import type { Tensor } from "@rfdetr/torch";
import type { Split } from "../data/index.js";
import { checkForwardMemory } from "../eval/forward-memory.js";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { ModelConfig } from "../model/types.js";
import { checkInputSize } from "../model/variants.js";
import { type ExportMetadata, type ExportProof, metadataEntries, preprocessing } from "../onnx/metadata.js";
import { ExportError } from "../support/errors.js";
import { writeFailure } from "../support/files/atomic.js";
import { packageVersion } from "../support/machine/version.js";
import { sidesOf } from "../support/shape.js";
import { policyOf } from "../weights/trained-precision.js";
import type { ReadOptions } from "../weights/types.js";
import { isPython, loadModel } from "../weights/weights.js";
import { ExportFolder } from "./export-folder.js";
import { type ExportPrecision, refuseBfloat16, tolerances } from "./export-precisions.js";
import type { Graph } from "./graph/graph.js";
import { opset } from "./opset.js";
import { type Drift, measureDrift } from "./precision/drift.js";
import { driftText } from "./precision/drift-text.js";
import { type Island, preciseGraph } from "./precision/precise-graph.js";
import { firstDifference } from "./proof/first-difference.js";
import { proofImages } from "./proof/proof-images.js";
import { goldensOf, OwnOutputs, type Proof, prove } from "./proof/prove.js";
import { metadataPart, writeOnnx } from "./write-onnx.js";

/** What an export is doing. */
type Doing = "tracing" | "calibrating" | "writing" | "proving" | "comparing";

/** What is exported, and how. */
export interface ExportOptions {
  /** Weights file. */
  weights: string;
  /** File to write, which must not exist. */
  out: string;
  precision: ExportPrecision;
  /** Images in a batch; `dynamic` leaves the number open. */
  batch: number | "dynamic";
  /** Height and width of the images in pixels; default: the square that the weights were trained on. */
  resolution?: readonly [height: number, width: number];
  /** Whether the file may sample with GridSample (default) or does it by gathers, for runtimes without it. */
  gridSample?: boolean;
  /** Dataset whose images prove the file; without one, drawn images do. */
  data?: string;
  /** Default `valid`. */
  split?: Split;
  /** Images of the dataset that int8 is calibrated on, the first ones; default 32. */
  calibrationImages?: number;
  reading?: ReadOptions;
  /** Whether to measure every precision on the same images, and to write the table beside the file. */
  report?: boolean;
  /** Bytes of constants from which they lie in a second file, `NAME.onnx.data`; default: what protobuf can hold. */
  externalFrom?: number;
  /** Changes the graph before it is written: see {@link Graph}. */
  pass?: (graph: Graph) => void | Promise<void>;
  /** Called with a sentence for each image that does not decode and is left out. */
  onBadImage?: (message: string) => void;
  /** Called with what is done now, and how much of it. */
  progress?: (doing: Doing, done: number, total: number) => void;
}

/** What an export has made. */
export interface ExportResult {
  out: string;
  opset: number;
  precision: ExportPrecision;
  /** Of the file, with that of its constants if they have one of their own. */
  bytes: number;
  nodes: number;
  /** What is float32 for a measured reason, beside what the policy keeps so. */
  islands: Island[];
  /** null where onnxruntime-node is not installed: the file is not proved. */
  proof: ExportProof | null;
  /**
   * With `report`: every precision on the same images. It lies beside the file too, as `.drift.json` and `.drift.txt`.
   */
  drift: Drift | null;
}

/**
 * Exports weights as an ONNX file and proves it: the file runs in onnxruntime on images of the user, and its detections
 * are held to those of the model in float32. The proof is kept in the file. Nothing is left of a file that fails.
 * @throws CheckpointError if the weights cannot be loaded
 * @throws ModelConfigError if the model cannot have the resolution
 * @throws ConfigError if there is no memory for images of that size
 * @throws UsageError if a file to write exists, while another export writes it, or for `bf16`, which nobody could prove
 * @throws DataError if the dataset cannot be used
 * @throws NumericsError if the results of the model are not finite
 * @throws ExportError if the file disagrees with the model; the message names the module where that begins
 * @example
 * import { exportOnnx } from "rfdetr/export";
 * const { proof } = await exportOnnx({ weights: "best.safetensors", out: "best.onnx", precision: "fp32", batch: 1 });
 * console.log(proof?.max_box_error_px);
 */
export async function exportOnnx(options: ExportOptions): Promise<ExportResult> {
  const { out, precision, batch } = options;
  refuseBfloat16(precision);
  // Before the file to write: of an exported file, that is the file itself.
  isPython(options.weights);
  const folder = new ExportFolder(out, options.report ?? false);
  folder.check();
  const { model, ...loaded } = loadModel(options.weights, options.reading);
  const { classNames, config, trained } = loaded;
  const [height, width] = options.resolution ?? sidesOf(config.resolution);
  checkInputSize(config, height, width);
  model.eval();
  const forward = (pixels: Tensor) => model.call(pixels);
  const runtime = hasRuntime() ? { runtime: runtimeMemory(config, [height, width]) } : {};
  checkForwardMemory({ config, device: "cpu", forward, ...runtime }, batch === "dynamic" ? 1 : batch, [height, width]);
  const images = await proofImages(
    dataOf(options, config.segmentationHead),
    classNames,
    [height, width],
    batch === "dynamic" ? 4 : batch,
  );
  const metadata = metadataOf(precision, { ...loaded, resolution: [height, width] });
  const own = new OwnOutputs(model);
  const telling = (doing: Doing) => (done: number, total: number) => options.progress?.(doing, done, total);
  try {
    folder.make();
    telling("tracing")(0, 1);
    // Weights that overflow are refused before they are calibrated.
    own.golden(1, [height, width]);
    const runs = hasRuntime();
    const precise = {
      policy: policyOf(trained),
      overrides: trained.overrides,
      precision,
      batch,
      height,
      width,
      gridSample: options.gridSample ?? true,
      path: folder.probe,
      ...(options.calibrationImages === undefined ? {} : { calibrationImages: options.calibrationImages }),
      images: runs ? images : null,
      progress: telling("calibrating"),
    };
    const { graph, islands } = await preciseGraph(model, precise);
    await options.pass?.(graph);
    const file = {
      metadata: metadataEntries(metadata),
      version: packageVersion(),
      progress: telling("writing"),
      ...(options.externalFrom === undefined ? {} : { externalFrom: options.externalFrom }),
    };
    writeOnnx(graph, folder.file, { path: folder.data }, file);
    const proving = { tolerance: tolerances[precision], progress: telling("proving") };
    const proof = runs ? await prove(folder.file, own, images, proving) : null;
    if (proof?.holds === false) throw await disagreement(proof, graph, model, { folder, precision });
    const stored = proof === null ? null : storedProof(proof);
    const goldens = await goldensOf(runs ? folder.file : null, own, [height, width]);
    folder.append(metadataPart(addedEntries({ ...metadata, proof: stored, goldens }, metadata)));
    let drift: Drift | null = null;
    if (options.report && runs) {
      drift = await measureDrift(model, { ...precise, images, classNames, trained, progress: telling("comparing") });
      folder.addText(".drift.json", `${JSON.stringify(drift, null, 1)}\n`);
      folder.addText(".drift.txt", driftText(drift));
    }
    const bytes = folder.publish();
    return { out, opset, precision, bytes, nodes: graph.nodes.length, islands, proof: stored, drift };
  } catch (error) {
    throw writeFailure(out, error);
  } finally {
    folder.discard();
  }
}

/** What the file says of its model, before it is proved. */
function metadataOf(
  precision: ExportPrecision,
  {
    config,
    classNames,
    trained,
    thresholds,
    AP50,
    resolution,
  }: Omit<ReturnType<typeof loadModel>, "model"> & { resolution: [number, number] },
): ExportMetadata {
  return {
    variant: config.variant,
    resolution,
    classNames,
    preprocessing,
    numSelect: config.numSelect,
    masks: config.segmentationHead ? maskSize(config, resolution) : null,
    precision,
    trainingPrecision: trained.precision,
    thresholds,
    AP50,
    version: packageVersion(),
    licence: "Apache-2.0",
    proof: null,
    goldens: null,
  };
}

/**
 * What onnxruntime takes to run a file, beside a forward pass here: it keeps more of the results, with those before and
 * after it 1.3 (Nano, 12 images) to 2.4 times as much (Tiny, 10,000), and the whole matrix of an attention in float32.
 */
function runtimeMemory(
  { encoder, patchSize }: ModelConfig,
  [height, width]: readonly [number, number],
): { times: number; perImage: number } {
  const tokens = (height / patchSize) * (width / patchSize);
  return { times: 2.5, perImage: 4 * encoder.heads * tokens ** 2 };
}

/** Height and width of the masks that the model gives. */
const maskSize = ({ maskDownsampleRatio: ratio }: ModelConfig, [height, width]: readonly [number, number]) =>
  [Math.floor(height / ratio), Math.floor(width / ratio)] satisfies [number, number];

/** The dataset of a proof; null where drawn images prove the file. */
function dataOf(
  { data, split = "valid", onBadImage }: ExportOptions,
  masks: boolean,
): Parameters<typeof proofImages>[0] {
  return data === undefined ? null : { data, split, masks, ...(onBadImage && { onBadImage }) };
}

/** The entries of `metadata` that `written` lacks. */
function addedEntries(metadata: ExportMetadata, written: ExportMetadata): Record<string, string> {
  const before = metadataEntries(written);
  return Object.fromEntries(Object.entries(metadataEntries(metadata)).filter(([name]) => !(name in before)));
}

/** Whether onnxruntime-node is installed. */
function hasRuntime(): boolean {
  try {
    import.meta.resolve("onnxruntime-node");
    return true;
  } catch {
    return false;
  }
}

function storedProof({ holds: _holds, worst: _worst, ...proof }: Proof): ExportProof {
  return proof;
}

/** The error of a file that disagrees with its model, with the place where that begins. */
async function disagreement(
  { worst, max_box_error_px: box, max_score_error: score, min_mask_iou: iou }: Proof,
  graph: Graph,
  model: RFDETRModel,
  { folder, precision }: { folder: ExportFolder; precision: ExportPrecision },
): Promise<ExportError> {
  const { box_px: px, score: most, mask } = tolerances[precision];
  const masks = iou === undefined ? "" : `; masks have an IoU of ${shown(iou)} where ${shown(1 - mask)} is the least`;
  const said = `Expected detections within ${px} px and a score of ${most} of the model's but the file is off by ${shown(box)} px and ${shown(score)}${masks}`;
  const size = graph.inputs[0].shape[0];
  if (worst === null || (typeof size === "number" && size !== worst.imageIds.length)) return new ExportError(said);
  using input = normalise_(imagesToTensor(worst.images, worst.imageIds.length, worst.height, worst.width));
  const found = await firstDifference(graph, model, input, { path: folder.probe, precision });
  if (found === null) return new ExportError(said);
  return new ExportError(
    `${said}: it begins in ${found.module || "the model"} at ${found.operator}, whose result differs by ${shown(100 * found.relative)} %`,
  );
}

const shown = (value: number): string => value.toPrecision(3);
