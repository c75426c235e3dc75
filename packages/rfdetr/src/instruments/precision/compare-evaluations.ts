// The ways to evaluate in low precision, side by side: what each does to boxes, scores, AP and the outputs of norms.

import {
  Autocast,
  compareModules,
  defaultPolicy,
  lowPrecisionOf,
  type MeasuredSpeed,
  type ModuleError,
  type Policy,
  type Precision,
  worstModules,
} from "@rfdetr/amp";
import { type DType, keep, nn, noGrad, scope, type Tensor } from "@rfdetr/torch";
import type { EvaluationBatch } from "../../eval/batch.js";
import { relabel } from "../../eval/class-map.js";
import { CocoEvaluator } from "../../eval/coco/coco.js";
import { outputsOf, scoreBatch } from "../../eval/evaluate.js";
import type { ScoredBoxes } from "../../model/images/postprocess.js";
import { inFloat32, type Outputs } from "../../model/outputs.js";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { append, largestOf, smallestOf } from "../../support/lists.js";
import { median } from "../../support/statistics.js";
import { type TrainedPrecision, trainedAutocast, unknownTraining } from "../../weights/trained-precision.js";
import { agreement, type Disagreement } from "./agreement.js";

/**
 * `fp32`; `autocast` as in training; `fp16_eval` and `whole_model_half` as the Python package has them: float16 under
 * autocast, and every weight converted to float16; `whole_model_bfloat16`: every weight converted to bfloat16.
 */
export type EvaluationMode = "fp32" | "autocast" | "fp16_eval" | "whole_model_half" | "whole_model_bfloat16";

const evaluationModes: readonly EvaluationMode[] = [
  "fp32",
  "autocast",
  "fp16_eval",
  "whole_model_half",
  "whole_model_bfloat16",
];

/** One way to evaluate; errors and speed are against `fp32` on the same images. */
export interface EvaluatedMode extends Disagreement, MeasuredSpeed {
  mode: EvaluationMode;
  /** What it computes in. */
  precision: Precision | "float16" | "bfloat16";
  /** Of matrix products; of every weight and operator where the whole model is converted. */
  dtype: DType;
  /** COCO AP of the boxes; null if the images have no annotations to score. */
  AP: number | null;
  AP50: number | null;
  /** The same by the overlap of masks, where the model has masks and the images have annotations. */
  mask_AP?: number | null;
  mask_AP50?: number | null;
  /**
   * Preparing and forward of one image, median of the rounds, in which the modes take turns. Each has a part of the
   * batches, whose median counts, after a forward that is not timed. Where there are less than three batches, they are
   * timed again.
   */
  milliseconds: number;
  /** Float16 products ran on rounded float32 operands: values are those of float16, the time is not. */
  emulated: boolean;
  /** Bytes of the model's weights. */
  weight_bytes: number;
  /** Bytes beside them of copies of weights: cast to low precision, and packed in the order in which products read. */
  copy_bytes: number;
  /** Relative error of the outputs of the norms in encoder and projector, which run before anything is ranked. */
  norm_error: { largest: number; median: number; module: string | null };
  /** See {@link worstModules}. */
  modules: ModuleError[];
}

export interface EvaluationModesOptions {
  model: RFDETRModel;
  /** Class names of the data. */
  classNames: readonly string[];
  /** If the weights know other classes, or the same ones in another order: see `classMap`. */
  classes?: Int32Array;
  /** Precision of training; `32-true` is compared as `bf16-mixed`, because it would equal `fp32`. */
  precision: Precision;
  /** Policy and overrides of the training; default: those of the model. */
  rules?: TrainedPrecision;
  device: string;
  batches: readonly EvaluationBatch[];
  /** Score above which a detection is reported, for `at_threshold`; default 0.5. */
  threshold?: number;
  /** Called after each batch with the number of images done so far in this mode. */
  progress?: (mode: EvaluationMode, images: number) => void;
}

/** A mode with what it needs to run. */
interface Way {
  mode: EvaluationMode;
  autocast: Autocast;
  precision: EvaluatedMode["precision"];
  /** Of the weights. */
  weights: DType;
}

/** What the rounds of a mode give. */
interface Pass {
  way: Way;
  evaluator: CocoEvaluator;
  detected: ScoredBoxes[];
  /** Of one image, for each round. */
  milliseconds: number[];
  weightBytes: number;
  copyBytes: number;
}

/** A round: some batches, the first `scored` of which are new. */
interface Round {
  batches: EvaluationBatch[];
  scored: number;
}

/** Evaluates the same images in every mode. Afterwards the model is as before, to the bit. */
export function compareEvaluationModes(options: EvaluationModesOptions): EvaluatedMode[] {
  const { model, batches, classNames } = options;
  const training = model.training;
  const passes = waysOf(options).map(
    (way): Pass => ({
      way,
      evaluator: new CocoEvaluator({ classNames }),
      detected: [],
      milliseconds: [],
      weightBytes: 0,
      copyBytes: 0,
    }),
  );
  model.eval();
  try {
    for (const round of roundsOf(batches))
      for (const pass of passes) inMode(pass.way, model, () => evaluateRound(pass, round, options));
    return passes.map((pass) => rowOf(pass, passes[0], options));
  } finally {
    model.train(training);
  }
}

/** Rounds of one mode: as many as there are batches, from three, of which rounds can disagree, to five. */
const [fewestRounds, mostRounds] = [3, 5];

/** The batches in rounds, each once and in order; where there are too few, some come again, and are not scored. */
function roundsOf(batches: readonly EvaluationBatch[]): Round[] {
  const turns = Math.max(fewestRounds, batches.length);
  const count = Math.min(mostRounds, turns);
  return Array.from({ length: count }, (_, round) => {
    const [from, to] = [round, round + 1].map((edge) => Math.floor((edge * turns) / count));
    const own = Array.from({ length: to - from }, (_, i) => batches[(from + i) % batches.length]);
    return { batches: own, scored: Math.max(0, Math.min(to, batches.length) - from) };
  });
}

/** A mode beside the reference, after all rounds. */
function rowOf(pass: Pass, base: Pass, options: EvaluationModesOptions): EvaluatedMode {
  const { way, evaluator, detected, milliseconds } = pass;
  const { mode, autocast, precision } = way;
  const { model, batches, threshold } = options;
  const names = batches.flatMap(({ files, imageIds }) => files ?? imageIds);
  const norms = normPaths(model);
  const errors = pass === base ? [] : moduleErrors(base.way, way, batches[0], options);
  autocast.clearCache();
  const summary = evaluator.summarize();
  const speedups = milliseconds.map((own, round) => base.milliseconds[round] / own);
  return {
    mode,
    precision,
    dtype: dtypeOf(precision),
    ...agreement(base.detected, detected, { names, ...(threshold !== undefined && { threshold }) }),
    AP: summary.AP,
    AP50: summary.AP50,
    ...(summary.masks && { mask_AP: summary.masks.AP, mask_AP50: summary.masks.AP50 }),
    milliseconds: median(milliseconds),
    speedup: median(base.milliseconds) / median(milliseconds),
    speedup_range: [smallestOf(speedups), largestOf(speedups)],
    emulated: autocast.emulated,
    weight_bytes: pass.weightBytes,
    copy_bytes: pass.copyBytes,
    norm_error: worstNorm(errors.filter(({ path }) => norms.has(path))),
    modules: worstModules(errors),
  };
}

/**
 * For a model whose weights are all in one low precision: lowers matrix products to it, and every other operator
 * computes in the dtype of its inputs, norms, exponentials, query selection and boxes too.
 */
const convertedPolicy: Policy = {
  name: "converted model",
  rows: new Map([...defaultPolicy.rows].filter(([, { rule }]) => rule === "lower" || rule === "widest")),
};

/** The modes in their order, the reference first. */
function waysOf({ model, precision, rules = unknownTraining }: EvaluationModesOptions): Way[] {
  const mixed = precision === "32-true" ? "bf16-mixed" : precision;
  const inPrecision = (each: Precision) => ({
    autocast: trainedAutocast(model, rules, each),
    precision: each,
    weights: "float32" as const,
  });
  const converted = (each: "16-mixed" | "bf16-mixed", dtype: "float16" | "bfloat16") => ({
    autocast: new Autocast(each, { policy: convertedPolicy }),
    precision: dtype,
    weights: dtype,
  });
  const ways: Record<EvaluationMode, Omit<Way, "mode">> = {
    fp32: inPrecision("32-true"),
    autocast: inPrecision(mixed),
    fp16_eval: inPrecision("16-mixed"),
    whole_model_half: converted("16-mixed", "float16"),
    whole_model_bfloat16: converted("bf16-mixed", "bfloat16"),
  };
  return evaluationModes.map((mode) => ({ mode, ...ways[mode] }));
}

const dtypeOf = (precision: EvaluatedMode["precision"]): DType =>
  precision === "float16" || precision === "bfloat16" ? precision : (lowPrecisionOf[precision] ?? "float32");

/** Evaluates the batches of a round in one mode. */
function evaluateRound(pass: Pass, round: Round, options: EvaluationModesOptions): void {
  const { model, classes } = options;
  const { way, evaluator, detected } = pass;
  // It casts and packs the weights, and memory grows.
  noGrad(() => scope(() => void forward(way, round.batches[0], options).predBoxes.sum().item()));
  const change = (found: ScoredBoxes): ScoredBoxes => (classes === undefined ? found : relabel(found, classes));
  const milliseconds: number[] = [];
  round.batches.forEach((batch, i) => {
    const began = performance.now();
    noGrad(() =>
      scope(() => {
        const outputs = inFloat32(forward(way, batch, options));
        // Reading a value waits for the device.
        outputs.predBoxes.sum().item();
        milliseconds.push((performance.now() - began) / batch.imageIds.length);
        if (i < round.scored) append(detected, scoreBatch(evaluator, batch, outputs, model.config.numSelect, change));
      }),
    );
    options.progress?.(way.mode, evaluator.images);
  });
  pass.milliseconds.push(median(milliseconds));
  pass.weightBytes = weightBytes(model);
  pass.copyBytes = way.autocast.cachedBytes;
  // The copies of all modes at once would take more memory than an evaluation does.
  way.autocast.clearCache();
}

function forward(
  { autocast, weights }: Way,
  batch: EvaluationBatch,
  { model, device }: EvaluationModesOptions,
): Outputs {
  return outputsOf(batch, { model, autocast, device }, weights);
}

/** Relative error of every module's output in one forward of a mode against the reference. */
function moduleErrors(
  reference: Way,
  way: Way,
  batch: EvaluationBatch,
  options: EvaluationModesOptions,
): ModuleError[] {
  return compareModules(
    () => forward(reference, batch, options),
    () => inMode(way, options.model, () => forward(way, batch, options)),
  );
}

/**
 * Runs `body` with the weights in the dtype that the mode needs, and puts the float32 ones back.
 */
function inMode<T>({ weights }: Way, model: nn.Module, body: () => T): T {
  if (weights === "float32") return body();
  const own = new Map<string, Tensor>(
    noGrad(() => [...model.stateDict()].map(([key, tensor]) => [key, keep(tensor.detach().clone())] as const)),
  );
  noGrad(() => scope(() => void model.to(weights)));
  try {
    return body();
  } finally {
    noGrad(() => scope(() => void model.to("float32")));
    model.loadStateDict(own);
    for (const tensor of own.values()) tensor.dispose();
  }
}

/** Paths of the norms in encoder and projector. */
function normPaths(model: RFDETRModel): Set<string> {
  const isNorm = (module: nn.Module): boolean =>
    module instanceof nn.LayerNorm || /norm/i.test(module.constructor.name);
  const named = [...model.backbone.namedModules()].filter(([, module]) => isNorm(module));
  return new Set(named.map(([, module]) => module.path));
}

const weightBytes = (model: nn.Module): number =>
  [...model.stateDict().values()].reduce((sum, tensor) => sum + tensor.nbytes, 0);

/** NaN is the worst of errors. */
const size = ({ relative_error: error }: ModuleError): number =>
  Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
/** Largest first. */
const byError = (a: ModuleError, b: ModuleError): number => size(b) - size(a) || 0;

function worstNorm(errors: readonly ModuleError[]): EvaluatedMode["norm_error"] {
  if (errors.length === 0) return { largest: 0, median: 0, module: null };
  const [worst] = [...errors].sort(byError);
  return { largest: worst.relative_error, median: median(errors.map(size)), module: worst.path };
}
