// What `rfdetr doctor` shows of the ways to evaluate.

import { formatBytes } from "@rfdetr/amp/text";
import type { EvaluatedMode } from "../../instruments/precision/compare-evaluations.js";
import { counted, fraction, grouped } from "../../support/format.js";
import type { Console } from "../console/console.js";

/** What a mode is, by the precision that it computes in. */
const meanings: Record<EvaluatedMode["mode"], (precision: EvaluatedMode["precision"]) => string> = {
  fp32: () => "everything in float32: the others are compared with it",
  autocast: (precision) =>
    `how training evaluates, and val, predict: each operator in the type that ${precision} gives it (matrix products in low precision, norms in float32), weights in float32`,
  fp16_eval: () => "a setting of the Python package, obsolete here: the same in 16-mixed, and no weight is converted",
  whole_model_half: () => "not offered, only compared: every weight and operator in float16, norms included",
  whole_model_bfloat16: () => "the same in bfloat16",
};

const columnsOfDetections =
  "box px, worst px: mean and largest error of a box's corners; score: mean error; lost: detections of fp32 that are not found";
const columns = [
  "norms, worst norm: relative error of the outputs of norm layers in encoder and projector, median and largest (later ones follow the ranking of queries, which rounding can change); ms/image: from pixels to raw outputs, median of the batches",
  "dtype: of matrix products; weights: in memory; copies: of them, cast to low precision or packed for the kernels",
];

/** Prints a table of the ways to evaluate, what each means, and a verdict. */
export function evaluation(
  console: Console,
  rows: readonly EvaluatedMode[],
  { trained, seen }: { trained: boolean; seen: { images: number; of: number } | null },
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
    ...ifTrained(number(row.box_error_px), number(row.box_error_max_px), number(row.score_error)),
    ...(masks ? [row.mask_iou?.mean, row.mask_iou?.least].map((iou) => iou?.toFixed(4) ?? "") : []),
    ...ifTrained(`${(100 * row.lost_share).toFixed(1)} %`),
    row.mode === "fp32" ? "" : number(row.norm_error.median),
    row.mode === "fp32" ? "" : number(row.norm_error.largest),
    ...(masks ? [fraction(row.mask_AP ?? null)] : []),
    ...ifTrained(fraction(row.AP)),
    row.milliseconds.toFixed(1),
    formatBytes(row.weight_bytes),
    formatBytes(row.copy_bytes),
    row.nonfinite_images > 0 ? `not finite on ${row.nonfinite_images} images` : row.emulated ? "emulated" : "",
  ]);
  const header = [
    "mode",
    "dtype",
    ...ifTrained("box px", "worst px", "score"),
    ...(masks ? ["mask IoU", "worst IoU"] : []),
    ...ifTrained("lost"),
    "norms",
    "worst norm",
    ...(masks ? ["mask AP", "box AP"] : ifTrained("AP")),
    "ms/image",
    "weights",
    "copies",
    "",
  ];
  console.table(header, cells, ["copies", "weights", "norms", "worst norm", "worst px", "lost", "worst IoU", "score"]);
  for (const { mode, precision } of rows) console.sentence(console.dim(`${mode}: ${meanings[mode](precision)}`));
  for (const meaning of [...ifTrained(columnsOfDetections), ...columns]) console.sentence(console.dim(meaning));
  for (const sentence of ifTrained(obsolete(rows))) console.sentence(sentence);
  const slower = slowerPrediction(rows);
  if (slower !== null) console.sentence(slower);
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

/** Says that float32 predicts faster here; null where it does not. @internal for tests */
export function slowerPrediction(rows: readonly Pick<EvaluatedMode, "mode" | "milliseconds">[]): string | null {
  const [fp32, autocast] = (["fp32", "autocast"] as const).map(
    (mode) => rows.find((row) => row.mode === mode)?.milliseconds ?? Number.NaN,
  );
  // Less is within what two measurements differ by.
  if (!(autocast > 1.1 * fp32)) return null;
  return `An image takes ${(autocast / fp32).toFixed(2)} times as long under autocast as in float32 here: --precision 32-true makes val and predict faster, and exact`;
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
