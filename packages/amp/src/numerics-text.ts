// The summary of a numerics.jsonl file on one page.
import type { NumericsMemory, NumericsSummary } from "./numerics-summary.js";
import { formatOverflowReport } from "./overflow-report.js";
import { formatBytes, textTable } from "./text.js";

/** The summary as text for a terminal. */
export function formatNumerics(summary: NumericsSummary): string {
  const { header } = summary;
  const share = (value: number): string => `${(100 * value).toFixed(value > 0 && value < 0.001 ? 3 : 1)} %`;
  const brief = (value: number): string => (Number.isFinite(value) ? value.toPrecision(4) : String(value));
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
  if (summary.worst.length > 0)
    parts.push(
      `Largest values on watched steps:\n${textTable(
        ["module", "side", "amax", "past float16", "flushed by float16", "not finite"],
        summary.worst.map((m) => [
          m.path,
          m.side,
          brief(m.amax),
          share(m.fp16_saturate),
          share(m.fp16_flush),
          share(m.non_finite),
        ]),
      )}`,
    );
  if (summary.updates?.largest[0]?.ratio === 0) parts.push("Updates: no weight changed on the watched steps");
  else if (summary.updates !== null)
    parts.push(
      `Updates: ‖Δw‖/‖w‖ is ${summary.updates.median_ratio.toExponential(1)} at the median, largest in ${summary.updates.largest.map(({ name, ratio }) => `${name} (${ratio.toExponential(1)})`).join(", ")}; weights kept in bfloat16 would have lost ${share(summary.updates.bf16_lost)} of the changes`,
    );
  if (summary.memory !== null) parts.push(memoryText(summary.memory));
  for (const { step, to_step, lr_factor, fault } of summary.rollbacks)
    parts.push(
      `Step ${step}: back to the state after step ${to_step}, learning rates times ${lr_factor} (${fault} not finite)`,
    );
  for (const report of summary.overflows) parts.push(formatOverflowReport(report));
  return parts.join("\n\n");
}

function memoryText({ fixed, half_copies, kept, peak, peak_rss, written }: NumericsMemory): string {
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
  return lines.join("\n");
}
