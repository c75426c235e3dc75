// The loss scale and the skipped steps of a run.
import { power } from "../../charts/axis.js";
import { largestOf, smallestOf } from "../../support/lists.js";
import { lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { brief, counted, grouped, percent } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";

/** The loss scale over the steps, with marks where steps were skipped. */
export function lossScale(numerics: NumericsRecord): Html | null {
  const { points, steps, skipped, scaleChanges } = numerics;
  if (steps === 0) return null;
  const scaled = points.courses.scale?.max.some((scale) => scale !== 1) ?? false;
  // Only float16 has a loss scale.
  if (!scaled)
    return subsection(
      "Skipped steps",
      skipped > 0
        ? skips(numerics)
        : html`<p>No step of ${grouped(steps)} was skipped: every loss and every gradient was finite.</p>`,
    );
  return subsection(
    "Loss scale and skipped steps",
    skips(numerics),
    html`<div class="figures">${scaleFigure(numerics)}</div>`,
    changes(scaleChanges.total, scaleChanges.entries),
  );
}

function skips({ steps, skipped, skippedRuns }: NumericsRecord): Html {
  if (skipped === 0)
    return html`<p>No step of ${grouped(steps)} was skipped: every gradient was finite at every loss scale.</p>`;
  const first = skippedRuns.entries.at(0)?.first;
  const last = skippedRuns.entries.at(-1)?.last;
  const where =
    first === last
      ? `step ${grouped(first ?? 0)}`
      : `the first at step ${grouped(first ?? 0)}, the last at step ${grouped(last ?? 0)}`;
  return html`<p>${counted(skipped, "step")} of ${grouped(steps)} (${percent(skipped / steps)}) changed nothing, because the loss or a gradient was not finite: ${where}. ${inARow(skippedRuns)}</p>`;
}

function inARow({ total, entries }: NumericsRecord["skippedRuns"]): string {
  const most = largestOf(entries.map(({ steps }) => steps));
  return most === 1
    ? "Never two in a row."
    : `It happened ${counted(total, "time")}, for up to ${grouped(most)} steps in a row.`;
}

function scaleFigure({ points }: NumericsRecord): Html | null {
  const { scale } = points.courses;
  const marks = points.first.filter((_, i) => points.skipped[i] > 0);
  const chart = lineChart({
    alt: `The loss scale over the optimizer steps, between ${brief(smallestOf(scale.min.filter(Number.isFinite)))} and ${brief(largestOf(scale.max.filter(Number.isFinite)))}; ${counted(marks.length, "place")} with skipped steps.`,
    xLabel: "optimizer step",
    yLabel: "loss scale",
    scale: "log2",
    lines: [{ x: points.last, y: scale.last, low: scale.min, high: scale.max, color: 0, steps: true }],
    marks,
  });
  if (chart === null) return null;
  return figure({
    title: "Loss scale",
    about: "It falls by half when a gradient overflows float16, and doubles after many good steps.",
    chart,
    legend: [
      { name: "loss scale", series: 0 },
      ...(marks.length > 0 ? [{ name: "skipped steps", series: 0, shape: "mark" as const }] : []),
    ],
    columns: [
      { title: "step", number: true, cell: (i) => grouped(points.last[i]) },
      { title: "loss scale", number: true, cell: (i) => brief(scale.last[i]) },
      { title: "skipped steps", number: true, cell: (i) => grouped(points.skipped[i]) },
    ],
    rows: [...points.last.keys()],
  });
}

function changes(total: number, entries: readonly { step: number; scale: number }[]): Html | null {
  const [first, last] = [entries.at(0), entries.at(-1)];
  if (first === undefined || last === undefined || total < 2) return null;
  const exponent = Math.log2(last.scale);
  const size = Number.isInteger(exponent) ? `${grouped(last.scale)} (${power(2, exponent)})` : brief(last.scale);
  return html`<p>It began at ${grouped(first.scale)} and ended at ${size}, after ${counted(total - 1, "change")}.</p>`;
}
