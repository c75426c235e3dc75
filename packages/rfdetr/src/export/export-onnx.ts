// The export of weights as an ONNX file: graph, file, proof.
import { appendFileSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Overrides, Policy } from "@rfdetr/amp";
import type { Split } from "../data/index.js";
import { imagesToTensor, normalise_ } from "../model/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import { checkInputSize } from "../model/variants.js";
import { type ExportMetadata, type ExportProof, metadataEntries } from "../onnx/metadata.js";
import { ExportError, UsageError } from "../support/errors.js";
import { discard, replaceText, syncFile, writeFailure } from "../support/files/atomic.js";
import { imageDeviation, imageMean } from "../support/image-statistics.js";
import { packageVersion } from "../support/machine/version.js";
import type { ReadOptions } from "../weights/types.js";
import { loadModel } from "../weights/weights.js";
import { type ExportPrecision, refuseBfloat16, tolerances } from "./export-precisions.js";
import type { Graph } from "./graph/graph.js";
import { type Drift, measureDrift } from "./precision/drift.js";
import { driftText } from "./precision/drift-text.js";
import { type Island, preciseGraph } from "./precision/precise-graph.js";
import { firstDifference } from "./proof/first-difference.js";
import { proofImages } from "./proof/proof-images.js";
import { goldensOf, OwnOutputs, type Proof, prove } from "./proof/prove.js";
import { metadataPart, opset, writeOnnx } from "./write-onnx.js";

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
  /** Precision policy, overrides and name of the precision that the weights were trained in. */
  training?: { policy?: Policy; overrides?: Overrides; precision?: string };
  reading?: ReadOptions;
  /** Whether to measure every precision on the same images, and to write the table beside the file. */
  report?: boolean;
  /** Changes the graph before it is written: see {@link Graph}. */
  pass?: (graph: Graph) => void | Promise<void>;
  /** Called with a sentence for each image that does not decode and is left out. */
  onBadImage?: (message: string) => void;
  /** Called with what is done now, and how much of it. */
  progress?: (
    doing: "tracing" | "calibrating" | "writing" | "proving" | "comparing",
    done: number,
    total: number,
  ) => void;
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
  /** With `report`: every precision on the same images. It lies beside the file too, as `.drift.json` and `.drift.txt`. */
  drift: Drift | null;
}

/**
 * Exports weights as an ONNX file and proves it: the file runs in onnxruntime on images of the user, and its detections
 * are held to those of the model in float32. The proof is kept in the file. Nothing is left of a file that fails.
 * @throws CheckpointError if the weights cannot be loaded
 * @throws ModelConfigError if the model cannot have the resolution
 * @throws UsageError if `out` exists, or for `bf16`, in which no file can be proved
 * @throws DataError if the dataset cannot be used
 * @throws ExportError if the file disagrees with the model; the message names the module where that begins
 * @example
 * import { exportOnnx } from "rfdetr/export";
 * const { proof } = await exportOnnx({ weights: "best.safetensors", out: "best.onnx", precision: "fp32", batch: 1 });
 * console.log(proof?.max_box_error_px);
 */
export async function exportOnnx(options: ExportOptions): Promise<ExportResult> {
  const { out, precision, batch } = options;
  refuseBfloat16(precision);
  checkOut(out);
  const { model, classNames, config } = loadModel(options.weights, options.reading);
  const [height, width] = options.resolution ?? [config.resolution, config.resolution];
  checkInputSize(config, height, width);
  const data =
    options.data === undefined
      ? null
      : {
          data: options.data,
          split: options.split ?? "valid",
          ...(options.onBadImage && { onBadImage: options.onBadImage }),
        };
  const images = await proofImages(data, classNames, [height, width], batch === "dynamic" ? 4 : batch);
  const metadata: ExportMetadata = {
    variant: config.variant,
    resolution: [height, width],
    classNames,
    preprocessing,
    numSelect: config.numSelect,
    precision,
    trainingPrecision: options.training?.precision ?? null,
    version: packageVersion(),
    licence: "Apache-2.0",
    ...{ proof: null, goldens: null },
  };
  const own = new OwnOutputs(model);
  const place = new Place(out);
  try {
    place.make();
    options.progress?.("tracing", 0, 1);
    const runs = hasRuntime();
    const precise = {
      ...options.training,
      ...{ precision, batch, height, width, gridSample: options.gridSample ?? true, path: place.probe },
      ...(options.calibrationImages === undefined ? {} : { calibrationImages: options.calibrationImages }),
      images: runs ? images : null,
      progress: (done: number, total: number) => options.progress?.("calibrating", done, total),
    };
    const { graph, islands } = await preciseGraph(model, precise);
    await options.pass?.(graph);
    const progress = (done: number, total: number) => options.progress?.("writing", done, total);
    writeOnnx(
      graph,
      place.file,
      { path: place.data },
      { metadata: metadataEntries(metadata), version: packageVersion(), progress },
    );
    const tolerance = tolerances[precision];
    const proof = runs
      ? await prove(place.file, own, images, {
          tolerance,
          progress: (done, total) => options.progress?.("proving", done, total),
        })
      : null;
    if (proof?.holds === false) throw await disagreement(proof, graph, model, { place, precision });
    const stored = proof === null ? null : storedProof(proof);
    const goldens = await goldensOf(runs ? place.file : null, own, [height, width]);
    place.append({ ...metadata, proof: stored, goldens }, metadata);
    const drift =
      options.report && runs
        ? await measureDrift(model, {
            ...{ ...precise, images, classNames, trained: options.training?.precision },
            progress: (done, total) => options.progress?.("comparing", done, total),
          })
        : null;
    const bytes = place.publish();
    if (drift !== null) writeDrift(out, drift);
    return { out, opset, precision, bytes, nodes: graph.nodes.length, islands, proof: stored, drift };
  } catch (error) {
    throw writeFailure(out, error);
  } finally {
    place.discard();
  }
}

/** What the input of every file has gone through. */
const preprocessing: ExportMetadata["preprocessing"] = {
  mean: [...imageMean],
  std: [...imageDeviation],
  resize: "bilinear",
  antialias: true,
  layout: "NCHW",
};

/** Puts the drift table beside the file, in place of one of an earlier export of that name. */
function writeDrift(out: string, drift: Drift): void {
  replaceText(`${out}.drift.json`, `${JSON.stringify(drift, null, 1)}\n`);
  replaceText(`${out}.drift.txt`, driftText(drift));
}

/** @throws UsageError */
function checkOut(out: string): void {
  if (!out.endsWith(".onnx"))
    throw new UsageError(`Expected a file name that ends in .onnx to write but received ${out}`);
  for (const path of [out, `${out}.data`])
    if (existsSync(path))
      throw new UsageError(`Expected a new file to write but ${path} exists: choose another name, or remove it`);
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
  { worst, max_box_error_px: box, max_score_error: score }: Proof,
  graph: Graph,
  model: RFDETRModel,
  { place, precision }: { place: Place; precision: ExportPrecision },
): Promise<ExportError> {
  const { box_px: px, score: most } = tolerances[precision];
  const said = `Expected detections within ${px} px and a score of ${most} of the model's but the file is off by ${shown(box)} px and ${shown(score)}`;
  const size = graph.inputs[0].shape[0];
  if (worst === null || (typeof size === "number" && size !== worst.imageIds.length)) return new ExportError(said);
  using input = normalise_(imagesToTensor(worst.images, worst.imageIds.length, worst.height, worst.width));
  const found = await firstDifference(graph, model, input, { path: place.probe, precision });
  if (found === null) return new ExportError(said);
  return new ExportError(
    `${said}: it begins in ${found.module || "the model"} at ${found.operator}, whose result differs by ${shown(100 * found.relative)} %`,
  );
}

const shown = (value: number): string => value.toPrecision(3);

/** A file that is made in a folder of its own beside where it goes, so that it is there as a whole or not at all. */
class Place {
  readonly #folder: string;
  readonly #out: string;
  #made = false;
  readonly file: string;
  readonly data: string;
  /** For a file with more outputs. */
  readonly probe: string;

  constructor(out: string) {
    this.#out = out;
    this.#folder = `${out}.partial`;
    this.file = join(this.#folder, basename(out));
    this.data = `${this.file}.data`;
    this.probe = join(this.#folder, "probe.onnx");
  }

  /** @throws UsageError if the folder holds anything but what an interrupted export leaves */
  make(): void {
    const found = existsSync(this.#folder);
    if (found && !this.#isLeftover())
      throw new UsageError(
        `Expected no other files in ${this.#folder}, where the export is made: remove it, or choose another name`,
      );
    if (found) discard(this.#folder);
    mkdirSync(this.#folder);
    this.#made = true;
  }

  #isLeftover(): boolean {
    const own = [this.file, this.data, this.probe, `${this.probe}.data`].map((path) => basename(path));
    return statSync(this.#folder).isDirectory() && readdirSync(this.#folder).every((name) => own.includes(name));
  }

  /** Adds the entries of `metadata` that `written` lacks. */
  append(metadata: ExportMetadata, written: ExportMetadata): void {
    const before = metadataEntries(written);
    const added = Object.entries(metadataEntries(metadata)).filter(([name]) => !(name in before));
    appendFileSync(this.file, metadataPart(Object.fromEntries(added)));
  }

  /** Puts the files where they go. @returns their bytes */
  publish(): number {
    checkOut(this.#out);
    const files = [this.data, this.file].filter((path) => existsSync(path));
    const bytes = files.reduce((sum, path) => sum + statSync(path).size, 0);
    for (const path of files) syncFile(path);
    for (const path of files) renameSync(path, join(dirname(this.#out), basename(path)));
    return bytes;
  }

  discard(): void {
    if (this.#made) discard(this.#folder);
  }
}
