// What `rfdetr doctor` shows of the ways to evaluate.

import { basename } from "node:path";
import { type Precision, roundsDisagree, speedInWords } from "@rfdetr/amp";
import { formatBytes } from "@rfdetr/amp/text";
import type { EvaluatedMode } from "../../instruments/precision/compare-evaluations.js";
import { counted, fraction, grouped, thresholdText } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { range } from "./doctor-report.js";
import type { ReportedFrom } from "./doctor-threshold.js";

/** What a mode is, by the precision that it computes in, and the one that val and predict take. */
const meanings: Record<
  EvaluatedMode["mode"],
  (precision: EvaluatedMode["precision"], byDefault: EvaluatedMode["precision"]) => string
> = {
  fp32: () => "everything in float32, as an exported file computes: the others are compared with it",
  autocast: (precision, byDefault) =>
    `${precision === byDefault ? "how training evaluates, and val, predict" : `not how val and predict take these weights, which is ${byDefault}`}: each operator in the type that ${precision} gives it (matrix products in low precision, norms in float32), weights in float32`,
  fp16_eval: () => "a setting of the Python package, obsolete here: the same in 16-mixed, and no weight is converted",
  whole_model_half: () => "not offered, only compared: every weight and operator in float16, norms included",
  whole_model_bfloat16: () => "the same in bfloat16",
};

const columnsOfDetections = [
  "box px, worst px, score, worst score: mean and largest error of a box's corners and of a score, of fp32's detections with a score above 0.3 and the best ten of each image; lost: the share of these that has no partner of any score, which is a box of the class that overlaps by half",
  "only fp32, only here: detections above the threshold of the sentence below that fp32 alone reports, and that this mode alone reports: the score has crossed the threshold, or class or box are others",
];
const columns = [
  "norms, worst norm: relative error of the outputs of norm layers in encoder and projector, median and largest (later ones follow the ranking of queries, which rounding can change)",
  "ms/image: from pixels to raw outputs, median of rounds in which the modes take turns; speed-up: beside fp32; by round: the least and the largest, which other programs scatter",
  "dtype: of matrix products; weights: in memory; copies: of them, cast to low precision or packed for the kernels",
];

/** Columns that a narrow terminal does without, in this order. */
const dispensable = [
  ...["copies", "weights", "by round", "lost", "norms", "worst norm", "worst px", "worst IoU", "score"],
  "speed-up",
];

/** Prints a table of the ways to evaluate, what each means, and a verdict. */
export function evaluation(
  console: Console,
  rows: readonly EvaluatedMode[],
  {
    trained,
    seen,
    byDefault,
    from,
  }: {
    trained: boolean;
    seen: { images: number; of: number } | null;
    /** What val and predict take these weights in. */
    byDefault: Precision;
    from: ReportedFrom;
  },
): void {
  console.end();
  console.result();
  const on = seen === null ? "of the training batch" : onImages(seen);
  console.sentence(
    `Evaluation ${on}, errors against fp32${trained ? "" : " (random weights: the last box layer is zero and scores tie, so boxes, scores and AP would say nothing; --weights shows them)"}:`,
  );
  const masks = trained && rows.some(({ mask_iou }) => mask_iou !== undefined);
  const ifTrained = (...values: string[]): string[] => (trained ? values : []);
  const cells = rows.map((row) => [
    row.mode,
    row.dtype,
    ...ifTrained(...[row.box_error_px, row.box_error_max_px, row.score_error, row.score_error_max].map(number)),
    ...ifTrained(...[row.at_threshold.only_reference, row.at_threshold.only_found].map(grouped)),
    ...(masks ? [row.mask_iou?.mean, row.mask_iou?.least].map((iou) => iou?.toFixed(4) ?? "") : []),
    ...ifTrained(`${(100 * row.lost_share).toFixed(1)} %`),
    row.mode === "fp32" ? "" : number(row.norm_error.median),
    row.mode === "fp32" ? "" : number(row.norm_error.largest),
    ...(masks ? [fraction(row.mask_AP ?? null)] : []),
    ...ifTrained(fraction(row.AP)),
    row.milliseconds.toFixed(1),
    row.speedup.toFixed(2),
    range(row.speedup_range.map((each) => each.toFixed(2))),
    formatBytes(row.weight_bytes),
    formatBytes(row.copy_bytes),
    row.nonfinite_images > 0 ? `not finite on ${row.nonfinite_images} images` : row.emulated ? "emulated" : "",
  ]);
  const header = [
    "mode",
    "dtype",
    ...ifTrained("box px", "worst px", "score", "worst score", "only fp32", "only here"),
    ...(masks ? ["mask IoU", "worst IoU"] : []),
    ...ifTrained("lost"),
    "norms",
    "worst norm",
    ...(masks ? ["mask AP", "box AP"] : ifTrained("AP")),
    "ms/image",
    "speed-up",
    "by round",
    "weights",
    "copies",
    "",
  ];
  console.table(header, cells, dispensable);
  for (const { mode, precision } of rows)
    console.sentence(console.dim(`${mode}: ${meanings[mode](precision, byDefault)}`));
  for (const meaning of [...ifTrained(...columnsOfDetections), ...columns]) console.sentence(console.dim(meaning));
  const autocast = rows.find(({ mode }) => mode === "autocast");
  for (const sentence of ifTrained(...(autocast === undefined ? [] : [reported(autocast, from)])))
    console.sentence(sentence);
  if (autocast?.precision === byDefault) {
    for (const sentence of ifTrained(obsolete(rows))) console.sentence(sentence);
    const slower = slowerPrediction(autocast);
    if (slower !== null) console.sentence(slower);
  }
  for (const dtype of ["float16", "bfloat16"] as const) {
    const sentence = verdict(rows, dtype, trained);
    if (sentence !== null) console.sentence(sentence);
  }
}

/** What `fp16_eval` would change, in a sentence. @internal for tests */
export function obsolete(rows: readonly EvaluatedMode[]): string {
  const [now, then] = (["autocast", "fp16_eval"] as const).map((mode) => rows.find((row) => row.mode === mode));
  const off = (row?: EvaluatedMode): string => `${number(row?.box_error_px ?? Number.NaN)} px`;
  return `Evaluation runs under autocast already, with boxes off by ${off(now)}; under fp16_eval they are off by ${off(then)}`;
}

/** Images that a sentence names. */
const named = 3;

/**
 * What autocast changes of the detections that predict reports, in sentences.
 * @param from where the threshold comes from
 * @internal for tests
 */
export function reported({ at_threshold: at }: Pick<EvaluatedMode, "at_threshold">, { from }: ReportedFrom): string {
  const limit = `Above a score of ${thresholdText(at.threshold)} (${from})`;
  const { reference, found, only_reference: gone, only_found: come, images } = at;
  if (reference + found === 0)
    return `${limit} neither fp32 nor autocast reports a detection, so nothing shows what autocast changes: take a lower --threshold`;
  const counts = `${limit} fp32 reports ${counted(reference, "detection")} and autocast ${grouped(found)}`;
  if (at.highest_score === null) return `${counts}: the same ones`;
  const only = `${grouped(gone)} of ${grouped(reference)} (${percent(gone, reference)}) only fp32 reports, ${grouped(come)} of ${grouped(found)} (${percent(come, found)}) only autocast`;
  const worst = images.slice(0, named).map((image) => {
    const name = typeof image.image === "string" ? basename(image.image) : `image ${image.image}`;
    return `${name} (${image.only_reference} + ${image.only_found})`;
  });
  const where = `${counted(images.length, "image")}${images.length > named ? `, most on ${worst.join(", ")}` : `: ${worst.join(", ")}`}`;
  return `${counts}: ${only}. Their highest score is ${at.highest_score.toPrecision(2)}, and they are on ${where}`;
}

/** A share rounded up, so that none is 0 % that is not. */
const percent = (part: number, all: number): string =>
  all === 0 ? "–" : `${(Math.ceil((1000 * part) / all) / 10).toFixed(1)} %`;

/**
 * Says that float32 predicts faster here, or that rounds disagree on it, by the rule that judges training; null where
 * it does not. Less than a tenth is within what two measurements differ by.
 * @internal for tests
 */
export function slowerPrediction(autocast: Pick<EvaluatedMode, "speedup" | "speedup_range">): string | null {
  const isSlower = (speedup: number): boolean => 1.1 * speedup < 1;
  const speed = `autocast runs at ${speedInWords(autocast)} the speed of float32`;
  if (roundsDisagree(autocast, isSlower))
    return `Whether float32 predicts faster here is undecided, since rounds disagree: ${speed}; measure again while nothing else runs`;
  if (!isSlower(autocast.speedup)) return null;
  return `In prediction ${speed} here: --precision 32-true makes val and predict faster, with the detections of fp32`;
}

/**
 * What the table shows about converting the whole model, in a sentence; null where no autocast has that dtype. Of
 * random weights it speaks of norms only.
 * @internal for tests
 */
export function verdict(rows: readonly EvaluatedMode[], dtype: "float16" | "bfloat16", trained = true): string | null {
  const isWhole = ({ mode }: EvaluatedMode): boolean => mode.startsWith("whole_model");
  const [whole, autocast] = [true, false].map((converted) =>
    rows.find((row) => row.dtype === dtype && isWhole(row) === converted),
  );
  if (whole === undefined || autocast === undefined) return null;
  const title = `Converting the whole model to ${dtype}`;
  if (whole.nonfinite_images > autocast.nonfinite_images)
    return `${title}: ${counted(whole.nonfinite_images, "image has", "images have")} no finite result (under ${dtype} autocast: ${autocast.nonfinite_images})`;
  const errors = ({ box_error_px, norm_error, mask_iou: iou }: EvaluatedMode) => {
    const off = `boxes are off by ${number(box_error_px)} px`;
    const norms = `norms by ${number(norm_error.median)}`;
    if (!trained) return `norms are off by ${number(norm_error.median)}`;
    return iou === undefined ? `${off} and ${norms}` : `${off}, ${norms}, and masks overlap by ${iou.mean.toFixed(4)}`;
  };
  return `${title}: ${errors(whole)}; under ${dtype} autocast ${errors(autocast)}`;
}

/** Which images were evaluated: figures of a part are not those of the split. @internal for tests */
export function onImages({ images, of }: { images: number; of: number }): string {
  if (images >= of) return `on all ${counted(of, "image")} of valid`;
  return `on ${grouped(images)} of ${counted(of, "image")} of valid (--images ${of} takes all: AP of a part differs)`;
}

const number = (value: number): string => (value === 0 ? "0" : Number.isFinite(value) ? value.toPrecision(2) : "nan");
