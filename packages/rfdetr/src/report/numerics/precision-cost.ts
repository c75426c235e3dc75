// What the precision gained and cost against 32-true, measured before the run.
import { formatBytes } from "@rfdetr/amp/text";
import type { HeaderRecord } from "../../run/files/numerics/numerics-records.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { table } from "../html/table.js";
import { brief, duration } from "../html/words.js";

/** What was measured of one precision. */
type PrecisionMeasurement = NonNullable<HeaderRecord["calibration"]>[number];

/** The measurement in the header of the run; null where nothing was measured. */
export function precisionCost(header: HeaderRecord | null): Html | null {
  const measured = header?.calibration ?? [];
  const chosen = measured.find(({ precision }) => precision === header?.precision);
  if (header === null || measured.length === 0) return null;
  return subsection(
    "Against 32-true",
    chosen !== undefined && chosen.precision !== "32-true" && sentence(chosen),
    table(
      // The run's own steps and peak, which the other sections have, are larger.
      "Measured on this machine before the run: a step without the optimizer, its moments and the average",
      [
        {
          title: "precision",
          cell: ({ precision }: PrecisionMeasurement) =>
            precision === header.precision ? html`<b>${precision}</b>, used` : precision,
        },
        { title: "time of a step", number: true, cell: ({ step_seconds }) => duration(step_seconds) },
        { title: "speed against 32-true", number: true, cell: ({ speedup }) => `${brief(speedup)} ×` },
        { title: "tensors at the peak", number: true, cell: ({ peak_tensor_bytes }) => formatBytes(peak_tensor_bytes) },
        { title: "tensors against 32-true", number: true, cell: ({ memory_ratio }) => `${brief(memory_ratio)} ×` },
        { title: "angle of the gradient", number: true, cell: (row) => degrees(cosineOf(row)) },
      ],
      measured,
    ),
    html`<p>The angle is that between the gradient and the exact one in float64${measured.some((row) => row.rounding_cosine !== undefined) && ", both with the same choices among queries and matches that are nearly equal"}: 0° is the same direction, 90° has nothing in common.</p>`,
  );
}

/** What rounding does to the gradient. Runs of earlier versions have it together with other choices. */
const cosineOf = ({ rounding_cosine, gradient_cosine }: PrecisionMeasurement): number =>
  rounding_cosine ?? gradient_cosine;

function sentence(row: PrecisionMeasurement): Html {
  const { precision, speedup, memory_ratio } = row;
  const speed =
    speedup >= 1
      ? `${brief(speedup)} times as fast as 32-true`
      : `slower than 32-true (${brief(speedup)} times its speed)`;
  return html`<p>${precision} was ${speed} and took ${brief(memory_ratio)} times the memory of tensors. Its gradient points ${degrees(cosineOf(row))} away from the exact one.</p>`;
}

function degrees(cosine: number): string {
  if (!Number.isFinite(cosine)) return "–";
  return `${brief((Math.acos(Math.min(1, Math.max(-1, cosine))) * 180) / Math.PI)}°`;
}
