// The proof of an export: the file in onnxruntime against the model's own forward pass in float32, image by image.
import type { Autocast } from "@rfdetr/amp";
import { noGrad, scope } from "@rfdetr/torch";
import type { EvaluationBatch } from "../../eval/batch.js";
import { relabel } from "../../eval/class-map.js";
import { CocoEvaluator } from "../../eval/coco/coco.js";
import { outputsOf } from "../../eval/evaluate.js";
import { scoreImage } from "../../eval/scored-split.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { inFloat32 } from "../../model/outputs.js";
import { modelAutocast } from "../../model/precision/precision.js";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { hasUsableBoxes, selectBoxes } from "../../onnx/detections.js";
import {
  compareGolden,
  type Golden,
  type GoldenTolerance,
  goldenPixels,
  goldenQueries,
  type RawOutputs,
  worseOf,
} from "../../onnx/goldens.js";
import type { ExportProof, ProofFigure } from "../../onnx/metadata.js";
import { OnnxModel } from "../../onnx/onnx-model.js";
import { NumericsError } from "../../support/errors.js";
import { exceptions } from "../export-precisions.js";
import { maskLogits } from "../graph/mask-logits.js";
import { addDisagreement, compareOutputs, type Disagreement } from "./compare-outputs.js";
import type { ProofImages } from "./proof-images.js";

/** Score from which a query is a detection: the default of `predict`. */
const threshold = 0.5;
/** Seeds of the inputs whose results the file carries. */
const goldenSeeds = [1, 2];
/** What runtimes may differ by: more than onnxruntime and libtorch do on one machine. */
const goldenTolerance = { box_px: 1, score: 0.01, mask: 0.02 } satisfies GoldenTolerance;

/** What a proof found. */
export interface Proof extends ExportProof {
  /** Whether the file is within the tolerance. */
  holds: boolean;
  /** The batch with the largest error; null where every query is within the tolerance. */
  worst: EvaluationBatch | null;
}

/** The model's own outputs, by default in float32. */
export class OwnOutputs {
  readonly #autocast: Autocast;
  constructor(
    readonly model: RFDETRModel,
    autocast = modelAutocast(model, { precision: "32-true" }),
  ) {
    this.#autocast = autocast;
  }

  /**
   * As {@link of}, for outputs that something is held to.
   * @throws NumericsError if they are not finite
   */
  finite(batch: EvaluationBatch): RawOutputs[] {
    const outputs = this.of(batch);
    if (outputs.every(isUsable)) return outputs;
    throw new NumericsError(
      "Expected weights that give finite scores and boxes but they give NaN or infinity: they are damaged, or overflow in float32",
    );
  }

  /** The outputs for the image of a seed. @throws NumericsError if they are not finite */
  golden(seed: number, [height, width]: readonly [height: number, width: number]): RawOutputs {
    const images = goldenPixels(seed, height, width);
    return this.finite({ images, height, width, imageIds: [seed], origSizes: [], truths: [] })[0];
  }

  /** Raw outputs of each image of a batch. */
  of(batch: EvaluationBatch): RawOutputs[] {
    const { model } = this;
    const { boxes, logits, masks } = noGrad(() =>
      scope((): RawOutputs => {
        const { predBoxes, predLogits, predMasks } = inFloat32(
          outputsOf(batch, { model, autocast: this.#autocast, device: "cpu" }),
        );
        const outputs = { boxes: predBoxes.toArray() as Float32Array, logits: predLogits.toArray() as Float32Array };
        if (predMasks === undefined) return outputs;
        const dense = maskLogits(predMasks);
        const [height, width] = dense.shape.slice(2);
        return { ...outputs, masks: { logits: dense.toArray() as Float32Array, height, width } };
      }),
    );
    const count = batch.imageIds.length;
    return batch.imageIds.map((_, i) => ({
      boxes: part(boxes, i, count),
      logits: part(logits, i, count),
      ...(masks && { masks: { ...masks, logits: part(masks.logits, i, count) } }),
    }));
  }
}

const isUsable = (outputs: RawOutputs): boolean =>
  hasUsableBoxes(outputs) && outputs.masks?.logits.some(Number.isNaN) !== true;

function part<T extends Uint8Array | Float32Array>(all: T, i: number, count: number): T {
  const length = all.length / count;
  return all.subarray(i * length, (i + 1) * length) as T;
}

/**
 * Runs a file and the model on the same images. Figures of both are computed where the images have ground truth.
 * @throws UsageError if onnxruntime-node is not installed
 * @throws CheckpointError if onnxruntime cannot load the file
 * @throws NumericsError if the results of the model are not finite
 */
export async function prove(
  file: string,
  own: OwnOutputs,
  images: ProofImages,
  { tolerance, progress }: { tolerance: GoldenTolerance; progress: (done: number, total: number) => void },
): Promise<Proof> {
  const exported = await OnnxModel.open(file);
  const { numSelect } = own.model.config;
  const scores = images.split === null ? null : { ours: evaluator(images.split), export: evaluator(images.split) };
  let sum: Disagreement = { queries: 0, boxPx: 0, score: 0, flips: 0, beyond: 0, best: 0 };
  let worst: Proof["worst"] = null;
  let done = 0;
  try {
    for await (const batch of images.batches()) {
      const ours = own.finite(batch);
      const theirs = await exported.run(ours.map((_, i) => part(batch.images, i, ours.length)));
      for (const [i, outputs] of ours.entries()) {
        const one = compareOutputs(outputs, theirs[i], [batch.height, batch.width], { threshold, tolerance });
        if (one.beyond > 0 && one.boxPx >= sum.boxPx) worst = batch;
        sum = addDisagreement(sum, one);
        if (scores === null) continue;
        const [height, width] = batch.origSizes[i];
        const change = (found: ScoredBoxes): ScoredBoxes =>
          images.split?.classes === undefined ? found : relabel(found, images.split.classes);
        const select = (raw: RawOutputs) => selectBoxes(raw, { width, height }, numSelect);
        scoreImage(scores.ours, batch, i, select(outputs), change);
        scoreImage(scores.export, batch, i, select(theirs[i]), change);
      }
      done += batch.imageIds.length;
      progress(done, images.count);
    }
  } finally {
    await exported.release();
  }
  return {
    images: done,
    queries: sum.queries,
    within: sum.queries - sum.beyond,
    tolerance: sum.mask === undefined ? { box_px: tolerance.box_px, score: tolerance.score } : { ...tolerance },
    max_box_error_px: sum.boxPx,
    max_score_error: sum.score,
    flips: sum.flips,
    threshold,
    best_score: sum.best,
    ...(sum.mask && { max_mask_logit_error: sum.mask.logit, min_mask_iou: 1 - sum.mask.apart }),
    ...(scores === null ? {} : figures(scores)),
    holds: sum.beyond * exceptions <= sum.queries,
    worst,
  };
}

/** Average precision of both, of boxes and of masks; −1, as in pycocotools, where the images have no objects. */
function figures(scores: {
  ours: CocoEvaluator;
  export: CocoEvaluator;
}): Required<Pick<ExportProof, "AP">> & Pick<ExportProof, "mask_AP"> {
  const [ours, theirs] = [scores.ours.summarize(), scores.export.summarize()];
  const both = (a: number | null | undefined, b: number | null | undefined): ProofFigure => ({
    ours: a ?? -1,
    export: b ?? -1,
  });
  return {
    AP: both(ours.AP, theirs.AP),
    ...(ours.masks && { mask_AP: both(ours.masks.AP, theirs.masks?.AP) }),
  };
}

function evaluator({ classNames }: { classNames: string[] }): CocoEvaluator {
  return new CocoEvaluator({ classNames, maxDets: [1, 10, 100] });
}

/**
 * Golden inputs with the model's own results, for whoever loads the file. What the file itself is off by here widens
 * the tolerance, so that another runtime is held to what this one gives.
 * @param file to measure that on; null where it cannot run here
 */
export async function goldensOf(
  file: string | null,
  own: OwnOutputs,
  [height, width]: readonly [height: number, width: number],
): Promise<{ tolerance: GoldenTolerance; cases: Golden[] }> {
  const pictures = goldenSeeds.map((seed) => goldenPixels(seed, height, width));
  const cases = goldenSeeds.map((seed) => ({ seed, queries: goldenQueries(own.golden(seed, [height, width])) }));
  const { mask, ...withoutMasks } = goldenTolerance;
  const tolerance = cases.some(({ queries }) => queries.some((query) => query.mask !== undefined))
    ? goldenTolerance
    : withoutMasks;
  if (file === null) return { tolerance, cases };
  const exported = await OnnxModel.open(file);
  try {
    const outputs = await exported.run(pictures);
    const error = outputs
      .map((raw, i) => compareGolden(cases[i].queries, raw, goldenTolerance, [height, width]))
      .reduce(worseOf);
    const { box_px, score } = tolerance;
    const widened = { box_px: box_px + 2 * error.boxPx, score: score + 2 * error.score };
    const ofMasks = error.mask === undefined ? {} : { mask: mask + 2 * error.mask };
    return { tolerance: { ...widened, ...ofMasks }, cases };
  } finally {
    await exported.release();
  }
}
