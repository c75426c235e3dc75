// Where the time of the steps went.
import { extent } from "../../charts/axis.js";
import { barChart, lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { duration, grouped, percent } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import { meanOf, ofPoints } from "../records/step-points.js";

/** The phases of a step in their order, and what they are in words. */
const phaseWords = [
  ["load", "waiting for images"],
  ["forward", "forward"],
  ["loss", "loss"],
  ["backward", "backward"],
  ["optimizer", "optimizer"],
] as const;

/** The mean time of a step by phase, and the time of each step. */
export function time({ points, watched }: NumericsRecord): Html | null {
  const total = meanOf(points, "seconds");
  if (total === null) return null;
  const phases = phaseWords.flatMap(([phase, name]) => {
    const seconds = meanOf(points, `phases.${phase}`);
    return seconds === null ? [] : [{ name, seconds }];
  });
  const rest = total - phases.reduce((sum, { seconds }) => sum + seconds, 0);
  const rows = phases.length === 0 ? [] : [...phases, { name: "between the steps", seconds: Math.max(0, rest) }];
  return subsection(
    "Time by phase",
    html`<p>A step took ${duration(total)} on average.${watched.length > 0 && " On watched steps, recording is part of it."}</p>`,
    html`<div class="figures">${[rows.length > 0 && phaseFigure(rows, total), secondsFigure(points)]}</div>`,
  );
}

function phaseFigure(rows: { name: string; seconds: number }[], total: number): Html {
  return figure({
    title: "Time of a step by phase",
    about: "Mean over all steps.",
    chart: barChart(
      `Time of a step: ${rows.map(({ name, seconds }) => `${name} ${duration(seconds)}`).join(", ")}.`,
      "seconds",
      rows.map(({ name, seconds }) => ({
        name,
        values: [seconds],
        words: [`${duration(seconds)}, ${percent(seconds / total)}`],
      })),
    ),
    columns: [
      { title: "phase", cell: ({ name }: { name: string; seconds: number }) => name },
      { title: "time", number: true, cell: ({ seconds }) => duration(seconds) },
      { title: "share", number: true, cell: ({ seconds }) => percent(seconds / total) },
    ],
    rows,
  });
}

function secondsFigure(points: NumericsRecord["points"]): Html | null {
  const { seconds } = points.courses;
  const chart = lineChart({
    alt: `Seconds for each optimizer step, ${duration(extent(seconds.min)?.[0] ?? 0)} to ${duration(extent(seconds.max)?.[1] ?? 0)}.`,
    xLabel: "optimizer step",
    yLabel: "seconds",
    include: [0],
    lines: [{ x: points.last, y: seconds.mean, low: seconds.min, high: seconds.max, color: 0 }],
  });
  if (chart === null) return null;
  return figure({
    title: "Time of each step",
    chart,
    legend: [
      { name: ofPoints(points, "time of the step"), series: 0 },
      ...(points.width > 1
        ? [{ name: `least and most of ${points.width} steps`, series: 0, shape: "band" as const }]
        : []),
    ],
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      { title: ofPoints(points, "time of the step"), number: true, cell: (i: number) => duration(seconds.mean[i]) },
      { title: "most", number: true, cell: (i: number) => duration(seconds.max[i]) },
    ],
    rows: [...points.last.keys()],
  });
}
