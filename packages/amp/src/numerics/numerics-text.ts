// The summary of a numerics.jsonl file on one page.

import { formatBytes, textTable } from "../text.js";
import { forecastText } from "./forecast.js";
import type { NumericsMemory, NumericsSummary } from "./numerics-summary.js";
import { formatOverflowReport } from "./overflow-report.js";
import type { ControlRecord, PeakMemory, PhaseSeconds } from "./step-record.js";
import type { WorstModule } from "./worst-modules.js";

const share = (value: number): string => `${(100 * value).toFixed(value > 0 && value < 0.001 ? 3 : 1)} %`;
const brief = (value: number): string => (Number.isFinite(value) ? value.toPrecision(4) : String(value));

/** The summary as text for a terminal. */
export function formatNumerics(summary: NumericsSummary): string {
  const { header } = summary;
  const parts: string[] = [];
  if (header !== null)
    parts.push(
      `${header.precision}: ${header.reason}${header.note === null ? "" : `\n${header.note}`}\n${header.hardware}; policy ${header.policy}`,
    );
  parts.push(
    `${summary.steps} ${summary.steps === 1 ? "step" : "steps"}, ${summary.applied} applied, ${summary.skipped} skipped${summary.unread > 0 ? `; ${summary.unread} ${summary.unread === 1 ? "line" : "lines"} could not be read` : ""}`,
  );
  if (summary.spans.length > 0)
    parts.push(
      textTable(
        ["steps", "skipped", "scale", "loss", "gradient norm", "clipped"],
        summary.spans.map((s) => [
          s.first === s.last ? String(s.first) : `${s.first}–${s.last}`,
          String(s.skipped),
          String(s.scale),
          ...(s.skipped > s.last - s.first ? ["–", "–", "–"] : [brief(s.loss), brief(s.grad_norm), share(s.clipped)]),
        ]),
      ),
    );
  if (summary.scale_changes.length > 1)
    parts.push(`Loss scale: ${summary.scale_changes.map((c) => `${c.scale} from step ${c.step}`).join(", ")}`);
  if (summary.worst.length > 0) parts.push(worstText(summary.worst));
  if (summary.forecasts.length > 0)
    parts.push(["Foreseen at the last watched step:", ...summary.forecasts.map(forecastText)].join("\n  "));
  if (summary.updates?.largest[0]?.ratio === 0) parts.push("Updates: no weight changed on the watched steps");
  else if (summary.updates !== null)
    parts.push(
      `Updates: ‖Δw‖/‖w‖ is ${summary.updates.median_ratio.toExponential(1)} at the median, largest in ${summary.updates.largest.map(({ name, ratio }) => `${name} (${ratio.toExponential(1)})`).join(", ")}; weights kept in bfloat16 would have lost ${share(summary.updates.bf16_lost)} of the changes`,
    );
  if (summary.phases !== null) parts.push(phasesText(summary.phases));
  if (summary.memory !== null) parts.push(memoryText(summary.memory));
  for (const control of summary.controls) parts.push(controlText(control));
  for (const { step, to_step, lr_factor, fault } of summary.rollbacks)
    parts.push(
      `Step ${step}: back to the state after step ${to_step}, learning rates times ${lr_factor} (${fault} not finite)`,
    );
  for (const report of summary.overflows) parts.push(formatOverflowReport(report));
  return parts.join("\n\n");
}

function worstText(worst: readonly WorstModule[]): string {
  const bits = (value: number): string => (Number.isFinite(value) ? value.toFixed(1) : value > 0 ? "–" : "none");
  const table = textTable(
    ["module", "side", "amax", "overflow", "underflow", "flushed", "not finite", "step", "image"],
    worst.map((m) => [
      ...[m.path, m.side, brief(m.amax), bits(m.headroom.overflow), bits(m.headroom.underflow)],
      ...[share(m.fp16_flush), share(m.non_finite), String(m.step), m.image ?? "–"],
    ]),
  );
  return `Largest values on watched steps, with the bits to overflow and underflow of float16 (gradients with the loss scale):\n${table}`;
}

function phasesText(phases: PhaseSeconds): string {
  const total = Object.values(phases).reduce((sum, seconds) => sum + seconds, 0);
  const words = Object.entries(phases).map(([name, seconds]) => `${name} ${share(seconds / total)}`);
  return `Time of a step: ${total.toPrecision(3)} s: ${words.join(", ")}`;
}

function controlText({ step, command, by, pattern, rule }: ControlRecord): string {
  const what = {
    override: `the rule of ${pattern} became ${rule}`,
    undo: "the last override was taken back",
    pause: "the run was paused",
    "go-on": "the run went on",
    stop: "the run was asked to save and end",
    lr: "a callback changed the learning rate",
  }[command];
  return `After step ${step}: ${what}${by === "settings" ? ", as precision_changes of the settings asks" : ""}`;
}

function peakText({ step, bytes, phase, kinds, dtypes }: PeakMemory): string {
  const list = (parts: Record<string, number>): string =>
    Object.entries(parts)
      .filter(([, part]) => part > 0)
      .map(([name, part]) => `${name} ${formatBytes(part)}`)
      .join(", ");
  return `  at the peak of step ${step}, ${formatBytes(bytes)} in ${phase}: ${list(kinds)}\n  by dtype: ${list(dtypes)}`;
}

function memoryText({ fixed, half_copies, kept, peak, peak_rss, written, at_peak }: NumericsMemory): string {
  const lines = [`Memory: peak of tensors ${formatBytes(peak)}, of the process ${formatBytes(peak_rss)}`];
  if (fixed)
    lines.push(
      `  the same in every precision: weights ${formatBytes(fixed.weights)}, gradients ${formatBytes(fixed.gradients)}, moments ${formatBytes(fixed.moments)}, average ${formatBytes(fixed.average)}`,
    );
  if (kept > 0)
    lines.push(
      `  kept for backward by one forward: ${formatBytes(kept)}; low-precision copies of the weights: ${formatBytes(half_copies)}`,
    );
  if (written !== null && written.half > 0)
    lines.push(
      `  one forward wrote ${formatBytes(written.half)} in low precision and ${formatBytes(written.full)} in float32; 32-true would have written ${formatBytes(written.half)} more`,
    );
  if (at_peak !== null) lines.push(peakText(at_peak));
  return lines.join("\n");
}
