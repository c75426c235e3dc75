// The measurements of `rfdetr doctor` as tables.

import type { Calibration, Precision, ResolvedPrecision } from "@rfdetr/amp";
import { numberFormats } from "@rfdetr/amp/names";
import { cosineText, formatBytes } from "@rfdetr/amp/text";
import { optim } from "@rfdetr/torch";
import type { EvaluationBatch } from "../../eval/batch.js";
import type { HardwarePeaks } from "../../instruments/bench/hardware-peaks.js";
import { unbroken } from "../../support/format.js";
import type { MemoryPrice, Subject } from "../../train/measure/calibrate-step.js";
import type { Console } from "../console/console.js";

/** Prints the speed of matrix products by dtype, and by number of threads. */
export function peaks(console: Console, { matmul, threads }: HardwarePeaks): void {
  const by = (rows: readonly (readonly [of: string | number, gflops: number])[]): string =>
    rows.map(([of, gflops]) => `${of} ${gflops.toFixed(0)}`).join(", ");
  const types = by(matmul.map(({ dtype, gflops }) => [dtype, gflops]));
  const counts = by(threads.map((row) => [row.threads === 1 ? "1 thread" : `${row.threads} threads`, row.gflops]));
  console.fields([
    ["products", `${types} GFLOP/s (1024 × 1024 × 1024)`],
    ...(threads.length > 1 ? [["", `${counts} GFLOP/s in the type of the precision`] as const] : []),
  ]);
}

/**
 * The precision that memory is spared in, and why that one: what training would take.
 * @param byDefault what `precision` "auto" takes on this hardware
 * @param written whether the recommendation is written into a config file
 */
export function sparedIn(
  { recommended, precisions: rows }: Calibration,
  byDefault: Precision,
  written: boolean,
): { precision: Precision; why: string } {
  const overflows = rows.some(({ precision, nonfinite }) => precision === byDefault && nonfinite);
  if (recommended.precision !== byDefault && (written || overflows))
    return { precision: recommended.precision, why: "which is recommended" };
  return { precision: byDefault, why: "which training takes by default" };
}

/** Prints what each way to spare memory saves and costs. */
export function memory(
  console: Console,
  { precision, why }: ReturnType<typeof sparedIn>,
  prices: readonly MemoryPrice[],
): void {
  console.end();
  console.result();
  console.sentence(`Ways to spare memory in ${precision}, ${why}, without moments and average:`);
  const [base] = prices;
  const change = (value: number, from = value): string =>
    `${value < from ? "−" : "+"}${Math.round(100 * Math.abs(value / from - 1))} %`;
  const cells = prices.map((row) => [
    row.way === "gradient_checkpointing" ? "gradient_checkpointing=true" : `memory=${row.way}`,
    formatBytes(row.peak_tensor_bytes),
    change(row.peak_tensor_bytes, base?.peak_tensor_bytes),
    (row.step_seconds * 1000).toFixed(0),
    range(row.step_seconds_range.map((seconds) => (seconds * 1000).toFixed(0))),
    change(row.step_seconds, base?.step_seconds),
    sparesNothing(row, base) ? "spares nothing here" : "",
  ]);
  console.table(["setting", "tensors", "change", "step ms", "by round", "change", ""], cells, ["by round", "change"]);
  console.sentence(
    console.dim(
      "memory=default: the step of the first table, measured again in turns with the others; tensors: at the peak of the step, counted to the byte; by round: the shortest and the longest step, a change within which is none",
    ),
  );
}

/** The least and the largest of some figures. */
export const range = (figures: readonly string[]): string =>
  figures[0] === figures[1] ? figures[0] : figures.join("–");

/** Whether a way to spare memory takes as much as none, or more. @internal for tests */
export const sparesNothing = (row: MemoryPrice, base: MemoryPrice | undefined): boolean =>
  base !== undefined && row !== base && row.peak_tensor_bytes >= base.peak_tensor_bytes;

/** What a row of the table of precisions says beside its figures. @internal for tests */
export function remarks({ precision, nonfinite, scale }: Calibration["precisions"][number], emulates: boolean): string {
  if (nonfinite) return "not finite";
  return [
    ...(scale > 1 ? [`scale ${scale}`] : []),
    ...(precision === "16-mixed" && emulates ? ["emulated on this CPU: slow, and saves no memory"] : []),
  ].join("; ");
}

/**
 * The modules with the largest errors of a precision, and the worst of those that predict masks. @internal for tests
 */
export function worstModules({
  name,
  modules,
}: { name: string } & Pick<Calibration["precisions"][number], "modules">): string {
  const shown = modules.slice(0, 3);
  const head = modules.find(({ path }) => path.split(".", 1)[0] === "segmentation_head");
  if (head !== undefined && !shown.includes(head)) shown.push(head);
  const errors = shown.map((m) => `${m.path} ${Number((100 * m.relative_error).toPrecision(2))} %`);
  return `${name}, largest errors of modules, in percent of their output: ${errors.join(", ")}`;
}

/** Whether the query selection ranked something otherwise than in float64. */
const ranks = ({ path, same, places }: Calibration["precisions"][number]["choices"][number]): boolean =>
  path.includes("query_selection") && same < places;

/** What the ranks of the query selection normally are: docs/precision-measured.md. */
const normalRanks =
  "ranks of the query selection: 70 to 90 % are normal in bf16-mixed with trained weights, and less with random ones, since candidates of nearly equal scores change places; same choices says what rounding does beside that";

/** How many of its choices a precision makes as float64 does. @internal for tests */
export function otherChoices({ precision, choices }: Calibration["precisions"][number]): string {
  const what = (path: string, operator: string): string => {
    if (operator === "linear_sum_assignment") return "matches";
    return path.includes("query_selection") ? "ranks of the query selection" : "mask points";
  };
  const shares = choices.map(
    ({ path, operator, same, places }) => `${Math.floor((100 * same) / places)} % of the ${what(path, operator)}`,
  );
  return `${precision} chooses as float64 does, where all choices before are the same: ${shares.join(", ")}`;
}

/**
 * Prints a table of the precisions measured on a training step.
 * @param emulates whether products of float16 are computed in float32
 */
export function precisions(
  console: Console,
  what: string,
  { precisions: rows }: Pick<Calibration, "precisions">,
  emulates: boolean,
): void {
  console.end();
  console.result();
  console.sentence(`One training step of ${what}, without the optimizer, errors against float64:`);
  const cells = rows.map((row) => [
    row.precision,
    (row.step_seconds * 1000).toFixed(0),
    row.speedup.toFixed(2),
    range(row.speedup_range.map((each) => each.toFixed(2))),
    formatBytes(row.peak_tensor_bytes),
    row.memory_ratio.toFixed(2),
    row.loss_error.toPrecision(2),
    cosineText(row.gradient_cosine),
    cosineText(row.rounding_cosine),
    `${(100 * row.underflow_share).toFixed(3)} %`,
    remarks(row, emulates),
  ]);
  const header = [
    "precision",
    "step ms",
    "speed-up",
    "by round",
    "tensors",
    "ratio",
    "loss error",
    "gradient cosine",
    "same choices",
    "underflow",
    "",
  ];
  console.table(header, cells, ["underflow", "by round", "loss error", "ratio", "tensors"]);
  for (const meaning of [
    "by round: the least and the largest speed-up of single rounds, which other programs scatter; tensors: at the peak of the step, without moments and average, counted to the byte",
    "gradient cosine: 1 where the gradient has the exact direction; same choices: the same where queries, matches and mask points are chosen as in float64, so that rounding alone is left",
    "underflow: the share of the gradient's values that the precision rounds to zero",
  ])
    console.sentence(console.dim(meaning));
  if (rows.some(({ choices }) => choices.some(ranks))) console.sentence(console.dim(normalRanks));
  for (const row of rows) {
    if (row.choices.some(({ same, places }) => same < places)) console.sentence(console.dim(otherChoices(row)));
    if (row.modules.length > 0)
      console.sentence(console.dim(worstModules({ name: row.precision, modules: row.modules })));
  }
}

/** Prints a table of what number formats do to the training step. */
export function formats(console: Console, calibration: Calibration): void {
  const { formats: rows } = calibration;
  console.result();
  console.sentence(
    "The same step with linear layers in number formats, emulated in bf16-mixed; errors against float64:",
  );
  const cells = rows.map(({ format, ...row }) => [
    format,
    row.loss_error.toPrecision(2),
    cosineText(row.gradient_cosine),
    cosineText(row.rounding_cosine),
    row.nonfinite ? "not finite" : numberFormats[format].about,
  ]);
  console.table(["format", "loss error", "gradient cosine", "same choices", ""], cells);
  for (const { format, modules } of rows)
    if (modules.length > 0) console.sentence(console.dim(worstModules({ name: format, modules })));
  console.sentence(formatsVerdict(calibration));
  console.sentence(
    `${unbroken("rfdetr train --set number_format=NAME")} trains in one, ${unbroken("rfdetr val --number-format NAME")} evaluates in it`,
  );
}

/**
 * What each format costs, in a sentence: how far it turns the gradient, at the choices of float64, as the sine of the
 * angle. @internal for tests
 */
export function formatsVerdict({ formats: rows, precisions: all }: Calibration): string {
  const turned = (cosine: number): string => {
    const sine = Math.sqrt(Math.max(0, 1 - cosine * cosine));
    return `${Number((100 * sine).toPrecision(2))} %`;
  };
  const finite = rows.filter((row) => !row.nonfinite).sort((a, b) => b.rounding_cosine - a.rounding_cosine);
  const broken = rows.filter((row) => row.nonfinite).map(({ format }) => format);
  const costs = finite.map(({ format, rounding_cosine: cosine }) => `${format} turns it by ${turned(cosine)}`);
  const mixed = all.find(({ precision, nonfinite }) => precision === "bf16-mixed" && !nonfinite);
  const base = mixed === undefined ? [] : [`bf16-mixed alone turns the gradient by ${turned(mixed.rounding_cosine)}`];
  const not = broken.length === 0 ? [] : [`${broken.join(" and ")} ${broken.length === 1 ? "is" : "are"} not finite`];
  return `Cost of the formats, least first: ${[...base, ...costs, ...not].join(", ")}`;
}

/**
 * The precision to take, in sentences: what measured best, and what training takes by default, and why, where that is
 * another.
 * @param resolved what `precision` "auto" takes on this hardware
 */
export function advice(
  { recommended, precisions: rows }: Calibration,
  { precision: byDefault, reason: why }: Pick<ResolvedPrecision, "precision" | "reason">,
): string[] {
  const { precision } = recommended;
  const reason = `${recommended.reason}${slower(rows.find((row) => row.precision === precision))}`;
  const usual = precision === byDefault ? ", which training takes by default" : "";
  if (recommended.undecided)
    return [`undecided, measure again while nothing else runs; until then ${precision}${usual}: ${reason}`];
  if (precision === byDefault) return [`recommended ${precision}${usual}: ${reason}`];
  const [taken, best] = [byDefault, precision].map((name) => rows.find((row) => row.precision === name));
  if (taken === undefined || best === undefined) return [`recommended ${precision}: ${reason}`];
  const figures = `, at ${taken.speedup.toFixed(2)} times the speed of 32-true with ${Math.round(100 * taken.memory_ratio)} % of its peak tensor memory`;
  const gives = taken.nonfinite ? ", which is not finite here" : byDefault === "32-true" ? "" : figures;
  const keep = taken.nonfinite || taken.memory_ratio >= best.memory_ratio ? "" : "keep it where memory is short, or ";
  return [
    `recommended ${precision}: ${reason}`,
    `training takes ${byDefault} by default (${why})${gives}: ${keep}train with --precision ${precision}`,
  ];
}

/** Says what was put into a config file. */
export const written = (file: string, put: object, { undecided }: Calibration["recommended"]): string =>
  `written to ${file}${undecided ? ", undecided as it is" : ""}: ${JSON.stringify(put)}`;

/** Why a precision is recommended that is slower than float32. */
const slower = (row: Calibration["precisions"][number] | undefined): string =>
  row === undefined || row.precision === "32-true" || row.speedup >= 0.995
    ? ""
    : `; ${row.speedup_range[1] < 0.995 ? "32-true is faster" : "32-true is as fast or faster"}: the reason is the memory`;

/**
 * Prints what the optimizer's moments take, and what `optimizer_state` "8bit" leaves of it.
 * @returns the bytes by the value of the setting
 */
export function moments(console: Console, model: Subject["model"]): Record<optim.MomentFormat, number> {
  const sizes = model.parameters().map(({ numel }) => numel);
  const bytes = (format: optim.MomentFormat): number =>
    sizes.reduce((sum, numel) => sum + optim.momentBytes(numel, format), 0);
  const [plain, coded] = [bytes("float32"), bytes("8bit")];
  console.sentence(
    `The optimizer's moments take ${formatBytes(plain)} beside these tensors; optimizer_state 8bit takes ${formatBytes(coded)} instead`,
  );
  return { float32: plain, "8bit": coded };
}

/** The training batch of a subject as images to evaluate, without anything to score: used when there is no dataset. */
export function noise({ batch: { images, height, width, targets } }: Subject): EvaluationBatch {
  const none = {
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
    area: new Float64Array(0),
    crowd: new Uint8Array(0),
  };
  return {
    images,
    height,
    width,
    imageIds: targets.map((_, i) => i),
    origSizes: targets.map(() => [height, width] as const),
    truths: targets.map(() => none),
  };
}
