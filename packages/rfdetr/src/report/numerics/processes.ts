// What each process of a run did, and which of them holds up the others.

import { lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { rankSentences } from "../html/rank-words.js";
import { subsection } from "../html/subsection.js";
import { table } from "../html/table.js";
import { brief, duration, grouped } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import { mostCurves, type RankMeans, type RankSummary } from "../records/ranks.js";

/** Null for a run of one process. */
export function processes({ ranks: summary }: NumericsRecord): Html | null {
  if (summary === null) return null;
  const { since, ranks } = summary;
  return subsection(
    "Processes",
    html`<ul>${rankSentences(summary).map((sentence) => html`<li>${sentence}.</li>`)}</ul>`,
    since > 1 && html`<p>These processes make the steps since step ${grouped(since)}.</p>`,
    table("Means over the last hundred steps", columns, ranks),
    html`<div class="figures">${[
      course(summary, "work", "Work of each step", "seconds"),
      course(summary, "wait", "Waiting of each step", "seconds"),
      course(summary, "grad_norm", "Gradient norm of each process", "norm"),
      noiseFigure(summary),
    ]}</div>`,
  );
}

const columns = [
  { title: "rank", number: true, cell: ({ rank }: RankMeans) => rank },
  { title: "machine", cell: ({ host }: RankMeans) => (host === "" ? "–" : host) },
  { title: "work", number: true, cell: ({ work }: RankMeans) => duration(work) },
  { title: "of it loading", number: true, cell: ({ load }: RankMeans) => duration(load) },
  { title: "waiting", number: true, cell: ({ wait }: RankMeans) => duration(wait) },
  {
    title: "gradient norm",
    number: true,
    cell: ({ gradNorm }: RankMeans) => (Number.isNaN(gradNorm) ? "–" : brief(gradNorm)),
  },
];

/** A curve for each process, or the least, the median and the most of many. */
function course({ points, ranks }: RankSummary, name: string, title: string, yLabel: string): Html | null {
  const names = ranks.length <= mostCurves ? ranks.map(({ rank }) => String(rank)) : ["least", "median", "most"];
  const series = names.flatMap((each) => points.courses[`${name}.${each}`] ?? []);
  const chart = lineChart({
    alt: `${title}, over the optimizer steps, for ${names.length} curves.`,
    xLabel: "optimizer step",
    yLabel,
    include: [0],
    lines: series.map(({ mean }, i) => ({ x: points.last, y: mean, color: i })),
  });
  if (chart === null) return null;
  const isRank = ranks.length <= mostCurves;
  const text = yLabel === "seconds" ? duration : brief;
  return figure({
    title,
    chart,
    legend: names.map((each, i) => ({ name: isRank ? `rank ${each}` : each, series: i })),
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      ...names.map((each, k) => ({
        title: isRank ? `rank ${each}` : each,
        number: true,
        cell: (i: number) => text(series[k].mean[i]),
      })),
    ],
    rows: [...points.last.keys()],
  });
}

function noiseFigure({ points, images, noiseScale }: RankSummary): Html | null {
  const course = points.courses.noise_scale;
  if (course === undefined || noiseScale === null) return null;
  const chart = lineChart({
    alt: `The gradient noise scale over the optimizer steps, ${brief(noiseScale)} images at the end.`,
    xLabel: "optimizer step",
    yLabel: "images",
    scale: "log",
    limits: [{ y: images, label: "images of a step" }],
    lines: [{ x: points.last, y: course.last, color: 0 }],
  });
  if (chart === null) return null;
  return figure({
    title: "Gradient noise scale",
    about:
      "Far above the images of a step, more processes save steps; far below, they do not (McCandlish et al. 2018).",
    chart,
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      { title: "images", number: true, cell: (i: number) => brief(course.last[i]) },
    ],
    rows: [...points.last.keys()],
  });
}
