// The summary of a run's numerics as text for a terminal.
import { forecastText } from "@rfdetr/amp/records";
import { formatBytes, textTable } from "@rfdetr/amp/text";
import type { ControlRecord, PhaseSeconds } from "../../run/files/numerics/numerics-records.js";
import { append } from "../../support/lists.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";
import { formatOverflowReport, type OverflowReport } from "../../train/measure/overflow-report.js";
import { counted, duration } from "../html/words.js";
import { placeOf } from "../numerics/faults.js";
import { float16Elsewhere, outsideOfModules } from "../numerics/overall.js";
import type { Excerpt } from "../records/numerics-record.js";
import type { NumericsMemory, NumericsSummary, WorstModule } from "./numerics-summary.js";

/** Places of faults that are told, and changes of the loss scale, at most. */
const most = { places: 10, scales: 20 } as const;

const share = (value: number): string => `${(100 * value).toFixed(value > 0 && value < 0.001 ? 3 : 1)} %`;
const brief = (value: number): string => (Number.isFinite(value) ? value.toPrecision(4) : String(value));

/** The summary as text for a terminal, without the processes. */
export function numericsText(summary: NumericsSummary): string {
  const { header, updates } = summary;
  const parts: string[] = [];
  if (header !== null)
    parts.push(
      `${header.precision}: ${header.reason}${header.note === null ? "" : `\n${header.note}`}\n${header.hardware}; policy ${header.policy}`,
    );
  parts.push(
    [
      `${counted(summary.steps, "step")}, ${summary.applied} applied, ${summary.skipped} skipped`,
      ...summary.faults,
    ].join("\n"),
  );
  if (summary.spans.length > 0) parts.push(spansText(summary.spans));
  if (summary.scale_changes.total > 1) parts.push(scalesText(summary.scale_changes));
  if (summary.nearest !== null) parts.push(nearestText(summary.nearest));
  if (summary.worst.length > 0) parts.push(worstText(summary.worst, summary));
  if (summary.flushed.length > 0) parts.push(flushedText(summary.flushed, summary));
  if (summary.forecasts.length > 0)
    parts.push(["Foreseen at the last watched step:", ...summary.forecasts.map(forecastText)].join("\n  "));
  const middle =
    updates !== null && Number.isFinite(updates.median_ratio)
      ? `${updates.median_ratio.toExponential(1)} in the median on the last watched step, on any of them `
      : "on any watched step ";
  if (updates?.largest[0]?.ratio === 0) parts.push("Updates: no weight changed on the watched steps");
  else if (updates !== null)
    parts.push(
      `Updates: ‖Δw‖/‖w‖ was ${middle}largest in ${updates.largest.map(({ name, ratio }) => `${name} (${ratio.toExponential(1)})`).join(", ")}; weights kept in bfloat16 would have lost ${share(updates.bf16_lost)} of the changes`,
    );
  if (summary.phases !== null) parts.push(phasesText(summary.phases, summary.step_seconds));
  if (summary.memory !== null) parts.push(memoryText(summary.memory));
  for (const control of summary.controls.entries) parts.push(controlText(control));
  for (const { step, to_step, lr_factor, fault } of summary.rollbacks.entries)
    parts.push(
      `Step ${step}: back to the state after step ${to_step}, learning rates times ${lr_factor}${fault === null ? "" : ` (${fault} not finite)`}`,
    );
  append(parts, overflowTexts(summary.overflows));
  return parts.join("\n\n");
}

function spansText(spans: NumericsSummary["spans"]): string {
  const mean = (value: number): string => (Number.isNaN(value) ? "–" : brief(value));
  const clips = spans.some(({ clip_factor }) => clip_factor < 1);
  const table = textTable(
    ["steps", "skipped", "scale", "loss", "gradient norm", "clipped to, least"],
    spans.map(({ first, last, skipped, scale, loss, grad_norm, clip_factor }) => [
      ...[first === last ? String(first) : `${first}–${last}`, String(skipped), String(scale)],
      ...[loss, grad_norm].map(mean),
      Number.isNaN(clip_factor) ? "–" : share(clip_factor),
    ]),
  );
  const clipped =
    '; "clipped to" is what was left of the length of the longest gradient among them, which was scaled down';
  return `${table}\nLoss and gradient norm are means over the steps of a row, the norm before clipping${clips ? clipped : ""}.`;
}

function scalesText({ total, entries }: NumericsSummary["scale_changes"]): string {
  const shown =
    entries.length > most.scales ? [...entries.slice(0, most.scales / 2), ...entries.slice(-most.scales / 2)] : entries;
  const all = shown.map(({ step, scale }) => `${scale} from step ${step}`).join(", ");
  return `Loss scale: ${all}${total > shown.length ? ` (the first and the last of ${total})` : ""}`;
}

/** The first report of each place in full, and the steps of the others. */
function overflowTexts({ total, entries }: Excerpt<OverflowReport>): string[] {
  const places = new Map<string, OverflowReport[]>();
  for (const report of entries) places.set(placeOf(report), [...(places.get(placeOf(report)) ?? []), report]);
  const told = [...places.values()].slice(0, most.places).map(([first, ...others]) => {
    const text = formatOverflowReport(first);
    return others.length === 0 ? text : `${text}\n\nThe same at ${stepsText(others.map(({ step }) => step))}.`;
  });
  const more = places.size - told.length;
  if (more > 0) told.push(`And at ${counted(more, "other place")}.`);
  if (total > entries.length) told.push(`From the first and the last of ${total} reports.`);
  return told;
}

function stepsText(steps: readonly number[]): string {
  const shown = steps.slice(0, 10).join(", ");
  return `${steps.length === 1 ? "step" : "steps"} ${shown}${steps.length > 10 ? ` and ${steps.length - 10} more` : ""}`;
}

/** What the limits of float16 mean to a run without it; null for one with it, and where values leave the wide range. */
function outOfFloat16({ header, worst }: NumericsSummary): string | null {
  const isWide = worst.every(({ amax, non_finite }) => non_finite === 0 && amax < 2 ** 120);
  return header === null || !isWide ? null : float16Elsewhere(header.precision);
}

/** What a run's precision does to the gradients that are listed, and to float16 in words. */
const inPrecision = ({ header }: NumericsSummary): { gradients: string; makes: string } =>
  header === null || header.precision === "16-mixed"
    ? { gradients: "gradients with the loss scale", makes: "makes" }
    : { gradients: `this run is ${header.precision} and scales no loss`, makes: "would make" };

const nearestText = ({ path, side, dtype, bits, step }: NonNullable<NumericsSummary["nearest"]>): string =>
  `Nearest to the end of ${dtype}, of what is held in it, were the ${side === "forward" ? "outputs" : "gradients"} of ${path}: ${bits.toFixed(1)} bits were left at step ${step}.`;

function worstText(worst: readonly WorstModule[], summary: NumericsSummary): string {
  const elsewhere = outOfFloat16(summary);
  const bits = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : value > 0 ? "–" : "none");
  const table = textTable(
    ["module", "side", "amax", "overflow", "underflow", "held in", "flushed", "not finite", "step", "image"],
    worst.map((m) => [
      ...[m.path, m.side, brief(m.amax), bits(m.headroom.overflow), bits(m.headroom.underflow), m.dtype],
      ...[share(m.fp16_flush), share(m.non_finite), String(m.step), m.image ?? "–"],
    ]),
  );
  const notes = [
    ...(elsewhere === null ? [] : [elsewhere]),
    ...(worst.some(({ headroom, dtype }) => headroom.overflow < 0 && dtype !== "float16")
      ? ["Below 0 bits a value is beyond float16; the dtype that holds it is wider, and nothing overflowed."]
      : []),
    ...(worst.some(({ path }) => path === outsideOfModules)
      ? ['"(outside of modules)" are the operators that ran while no module did.']
      : []),
  ];
  const title = `Largest values on watched steps that were applied, with the bits to overflow and underflow of float16 (${inPrecision(summary).gradients}):`;
  return [title, table, ...notes].join("\n");
}

function flushedText(flushed: readonly WorstModule[], summary: NumericsSummary): string {
  const { gradients, makes } = inPrecision(summary);
  const table = textTable(
    ["module", "side", "held in", "flushed"],
    flushed.map(({ path, side, dtype, fp16_flush }) => [path, side, dtype, share(fp16_flush)]),
  );
  return `Modules of which float16 ${makes} most zero (${gradients}):\n${table}`;
}

/** The figures of the report: the phases leave out what passes between the steps. */
function phasesText(phases: PhaseSeconds, mean: number | null): string {
  const together = Object.values(phases).reduce((sum, seconds) => sum + seconds, 0);
  const total = Math.max(mean ?? 0, together);
  const parts = { ...phases, "between the steps": total - together };
  const words = Object.entries(parts).map(([name, seconds]) => `${name} ${share(seconds / total)}`);
  return `Time of a step: ${duration(total)} on average: ${words.join(", ")}`;
}

function controlText({ step, command, by, pattern, rule }: ControlRecord): string {
  const words: Readonly<Record<string, string>> = {
    override: `the rule of ${pattern} became ${rule}`,
    undo: "the last override was taken back",
    pause: "the run was paused",
    "go-on": "the run went on",
    stop: "the run was asked to save and end",
    lr: "a callback changed the learning rate",
  };
  return `After step ${step}: ${words[command] ?? command}${by === "settings" ? ", as precision_changes of the settings asks" : ""}`;
}

function peakText({ step, bytes, phase, kinds, dtypes }: PeakMemory): string {
  const list = (parts: Record<string, number>): string =>
    Object.entries(parts)
      .filter(([, part]) => part > 0)
      .map(([name, part]) => `${name} ${formatBytes(part)}`)
      .join(", ");
  return `  at the peak of step ${step}, the highest of the watched steps that were looked into, ${formatBytes(bytes)} in ${phase}: ${list(kinds)}\n  by dtype: ${list(dtypes)}`;
}

function memoryText({ fixed, half_copies, kept, peak, peak_rss, written, at_peak }: NumericsMemory): string {
  const lines = [
    `Memory, the most of any step of this run, with its batch and its sizes of images: peak of tensors ${formatBytes(peak)}; the process after a step, at most ${formatBytes(peak_rss)} (summary.json has its peak over the whole run, with evaluations and pictures)`,
  ];
  if (fixed)
    lines.push(
      `  the same in every precision: weights ${formatBytes(fixed.weights)}, gradients ${formatBytes(fixed.gradients)}, moments ${formatBytes(fixed.moments)}, average ${formatBytes(fixed.average)}`,
    );
  if (kept > 0)
    lines.push(
      `  kept for backward by one forward, at most: ${formatBytes(kept)}; low-precision copies of the weights: ${formatBytes(half_copies)}`,
    );
  if (written !== null && written.half > 0)
    lines.push(
      `  one forward wrote ${formatBytes(written.half)} in low precision and ${formatBytes(written.full)} in float32; 32-true would have written ${formatBytes(written.half)} more`,
    );
  if (at_peak !== null) lines.push(peakText(at_peak));
  return lines.join("\n");
}
