// The ways to evaluate in half precision, side by side: what each does to boxes, scores and AP, and to the norms of the model.

import { type Autocast, compareModules, type ModuleError, type Precision } from "@rfdetr/amp";
import { keep, nn, noGrad, scope, type Tensor } from "@rfdetr/torch";
import type { EvaluationBatch } from "../eval/batch.js";
import { CocoEvaluator } from "../eval/coco/coco.js";
import { inFloat32 } from "../model/outputs.js";
import { postprocess } from "../model/postprocess.js";
import { convertedAutocast, fp16EvalAutocast, modelAutocast } from "../model/precision.js";
import { imagesToTensor, normalise_ } from "../model/preprocess.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import { agreement, type Detected, type Disagreement } from "./agreement.js";

export type EvaluationMode = "fp32" | "autocast" | "fp16_eval" | "whole_model_half";
export const evaluationModes: readonly EvaluationMode[] = ["fp32", "autocast", "fp16_eval", "whole_model_half"];

/** One way to evaluate; errors are against `fp32` on the same images. */
export interface EvaluatedMode extends Disagreement {
  mode: EvaluationMode;
  /** What it computes in. */
  precision: Precision | "float16";
  /** COCO AP; null where the images have no annotations worth scoring. */
  AP: number | null;
  AP50: number | null;
  /** Forward of one image, median over the batches. */
  milliseconds: number;
  /** Float16 products were computed on rounded float32 operands: the digits are right, the time is not that of float16 hardware. */
  emulated: boolean;
  /** Bytes of the model's weights as they lie in memory, half copies included. */
  weight_bytes: number;
  /** Largest and median relative error of what the encoder's and projector's norms put out: those that run before anything is ranked. */
  norm_error: { largest: number; median: number; module: string | null };
  /** The ten modules with the largest error, worst first. */
  modules: ModuleError[];
}

export interface EvaluationModesOptions {
  model: RFDETRModel;
  classNames: readonly string[];
  /** What training uses here; `32-true` is compared as `bf16-mixed`, since there would be nothing to see. */
  precision: Precision;
  device: string;
  batches: readonly EvaluationBatch[];
  numSelect: number;
  progress?: (mode: EvaluationMode, images: number) => void;
}

/** Evaluates the same images in every mode. The model is as before afterwards, to the bit. */
export function compareEvaluationModes(options: EvaluationModesOptions): EvaluatedMode[] {
  const { model, batches } = options;
  const training = model.training;
  const mixed = options.precision === "32-true" ? "bf16-mixed" : options.precision;
  const ways: Record<EvaluationMode, { autocast: Autocast; precision: EvaluatedMode["precision"] }> = {
    fp32: { autocast: modelAutocast(model, { precision: "32-true" }), precision: "32-true" },
    autocast: { autocast: modelAutocast(model, { precision: mixed }), precision: mixed },
    fp16_eval: { autocast: fp16EvalAutocast(model), precision: "16-mixed" },
    whole_model_half: { autocast: convertedAutocast(), precision: "float16" },
  };
  const norms = new Set([...model.backbone.namedModules()].filter(([, module]) => isNorm(module)).map(([, module]) => module.path));
  const forward = (mode: EvaluationMode, batch: EvaluationBatch) => {
    const images = normalise_(imagesToTensor(batch.images, batch.imageIds.length, batch.height, batch.width, options.device));
    const given = mode === "whole_model_half" ? images.to("float16") : images;
    return ways[mode].autocast.run(() => model.call(given));
  };
  model.eval();
  let reference: Detected[] = [];
  try {
    return evaluationModes.map((mode) => {
      const { autocast, precision } = ways[mode];
      const run = () => {
        const evaluator = new CocoEvaluator({ classNames: options.classNames });
        const detected: Detected[] = [];
        const seconds: number[] = [];
        for (const batch of batches) {
          const began = performance.now();
          noGrad(() =>
            scope(() => {
              const raw = inFloat32(forward(mode, batch));
              // Reading a value waits for the device.
              raw.predBoxes.sum().item();
              seconds.push((performance.now() - began) / batch.imageIds.length);
              detected.push(...score(raw, batch, options.numSelect, evaluator));
            }),
          );
          options.progress?.(mode, evaluator.images);
        }
        return { evaluator, detected, seconds, weightBytes: weightBytes(model) + autocast.cachedBytes };
      };
      const { evaluator, detected, seconds, weightBytes: bytes } = mode === "whole_model_half" ? asHalf(model, run) : run();
      if (mode === "fp32") reference = detected;
      const errors =
        mode === "fp32"
          ? []
          : compareModules(
              () => forward("fp32", batches[0]),
              () => (mode === "whole_model_half" ? asHalf(model, () => forward(mode, batches[0])) : forward(mode, batches[0])),
            );
      autocast.clearCache();
      const summary = evaluator.summarize();
      return {
        mode,
        precision,
        ...agreement(reference, detected),
        AP: summary.instances > 0 ? summary.AP : null,
        AP50: summary.instances > 0 ? summary.AP50 : null,
        milliseconds: median(seconds),
        emulated: autocast.emulated,
        weight_bytes: bytes,
        norm_error: worstNorm(errors.filter(({ path }) => norms.has(path))),
        modules: [...errors].sort(byError).slice(0, 10),
      };
    });
  } finally {
    model.train(training);
  }
}

function score(raw: ReturnType<typeof inFloat32>, batch: EvaluationBatch, numSelect: number, evaluator: CocoEvaluator): Detected[] {
  return postprocess(raw, batch.origSizes, numSelect).map((scored, i) => {
    const [height, width] = batch.origSizes[i];
    const detections = {
      boxes: scored.boxes.toArray() as Float32Array,
      scores: scored.scores.toArray() as Float32Array,
      labels: Int32Array.from(scored.labels.toArray() as BigInt64Array, Number),
    };
    evaluator.addImage({ id: batch.imageIds[i], width, height, gt: batch.truths[i], detections: finite(detections) });
    return detections;
  });
}

/** What is left to score: a box that is nowhere finds nothing. */
function finite({ boxes, scores, labels }: Detected): Detected {
  const rows = [...scores.keys()].filter((i) => [scores[i], ...boxes.subarray(i * 4, i * 4 + 4)].every(Number.isFinite));
  return {
    boxes: Float32Array.from(rows.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(rows, (i) => scores[i]),
    labels: Int32Array.from(rows, (i) => labels[i]),
  };
}

/** Runs `body` with every weight of the model converted to float16, then puts the float32 weights back. */
function asHalf<T>(model: nn.Module, body: () => T): T {
  const own = new Map<string, Tensor>(
    noGrad(() => [...model.stateDict()].map(([key, tensor]) => [key, keep(tensor.detach().clone())] as const)),
  );
  noGrad(() => scope(() => void model.to("float16")));
  try {
    return body();
  } finally {
    noGrad(() => scope(() => void model.to("float32")));
    model.loadStateDict(own);
    for (const tensor of own.values()) tensor.dispose();
  }
}

const isNorm = (module: nn.Module): boolean => module instanceof nn.LayerNorm || /norm/i.test(module.constructor.name);
const weightBytes = (model: nn.Module): number => [...model.stateDict().values()].reduce((sum, tensor) => sum + tensor.nbytes, 0);
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
/** Largest first; NaN is the worst of errors. */
const size = ({ relative_error: error }: ModuleError): number => (Number.isNaN(error) ? Number.POSITIVE_INFINITY : error);
const byError = (a: ModuleError, b: ModuleError): number => size(b) - size(a) || 0;

function worstNorm(errors: readonly ModuleError[]): EvaluatedMode["norm_error"] {
  if (errors.length === 0) return { largest: 0, median: 0, module: null };
  const sorted = [...errors].sort(byError);
  return { largest: sorted[0].relative_error, median: sorted[sorted.length >> 1].relative_error, module: sorted[0].path };
}
