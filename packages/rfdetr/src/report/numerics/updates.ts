// How far each optimizer step moved the weights.
import type { UpdateRecord } from "@rfdetr/amp";
import { lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html, pathOf } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { table } from "../html/table.js";
import { brief, counted, grouped, percent } from "../html/words.js";
import type { WatchedSpan } from "../records/watched-spans.js";
import { lostInBfloat16, type Overall } from "./overall.js";

/** What is usual for AdamW: a thousandth of the weight in a step. */
const usual = 1e-3;

/** The ratios over time, and the parameters with the largest and the smallest ones. */
export function updates(overall: Overall, spans: readonly WatchedSpan[]): Html | null {
  const moved = overall.updates.filter(({ ratio }) => Number.isFinite(ratio));
  if (moved.length === 0) return null;
  const sorted = [...moved].sort((a, b) => b.ratio - a.ratio);
  const still = sorted.filter(({ ratio }) => ratio === 0);
  const unused = still.some(({ name }) => name.endsWith("mask_token"));
  const lost = lostInBfloat16(moved);
  const judgement = overall.isJudged
    ? html`About ${brief(usual)} is usual; a tenth of it learns slowly, ten times as much is unsteady.`
    : html`Only ${overall.seen} watched: too few to judge how the parameters learn. A smaller <code>monitor_interval</code> watches more.`;
  return subsection(
    "Update-to-weight ratios",
    html`<p>The length of a step divided by the length of the weights, ‖Δw‖ ⁄ ‖w‖, by parameter. ${judgement} <b>If the weights themselves were bfloat16, ${percent(lost)} of the changes would have been lost</b>: they are smaller than half of the distance to the next bfloat16 number. Weights are float32 in every precision of this program.</p>`,
    still.length > 0 &&
      overall.isJudged &&
      html`<p>${counted(still.length, "parameter")} did not move on any watched step (${overall.seen} watched).${unused && " The encoder's mask_token never does: only the pretraining of DINOv2 uses it."}</p>`,
    html`<div class="figures">${[ratios(spans), losses(spans)]}</div>`,
    table(
      sorted.length > 12
        ? `The six largest and the six smallest of ${grouped(sorted.length)} parameters`
        : "All parameters",
      [
        { title: "parameter", cell: ({ name }: UpdateRecord) => pathOf(name) },
        { title: "largest ‖Δw‖ ⁄ ‖w‖", number: true, cell: ({ ratio }) => brief(ratio) },
        { title: "lost in bfloat16", number: true, cell: ({ bf16_lost }) => percent(bf16_lost) },
      ],
      sorted.length > 12 ? [...sorted.slice(0, 6), ...sorted.slice(-6)] : sorted,
    ),
  );
}

interface Row {
  step: number;
  largest: number;
  middle: number;
  lost: number;
}

function rowsOf(spans: readonly WatchedSpan[]): Row[] {
  return spans.flatMap(({ last, updates }) => {
    const ratios = updates
      .map(({ ratio }) => ratio)
      .filter(Number.isFinite)
      .sort((a, b) => a - b);
    if (ratios.length === 0) return [];
    const [largest, middle] = [ratios[ratios.length - 1], ratios[Math.floor(ratios.length / 2)]];
    return [{ step: last, largest, middle, lost: lostInBfloat16(updates) }];
  });
}

function ratios(spans: readonly WatchedSpan[]): Html | null {
  const rows = rowsOf(spans);
  const x = rows.map(({ step }) => step);
  const chart = lineChart({
    alt: `The largest and the median ratio of update to weight over the optimizer steps; the last median is ${brief(rows.at(-1)?.middle)}.`,
    xLabel: "optimizer step",
    yLabel: "‖Δw‖ ⁄ ‖w‖",
    scale: "log",
    lines: [
      { x, y: rows.map(({ largest }) => largest), color: 1 },
      { x, y: rows.map(({ middle }) => middle), color: 0 },
    ],
  });
  if (chart === null) return null;
  return figure({
    title: "Ratio of update to weight",
    about: "Parameters compared on each watched step.",
    chart,
    legend: [
      { name: "median parameter", series: 0 },
      { name: "largest", series: 1 },
    ],
    columns: [
      { title: "step", number: true, cell: ({ step }: Row) => grouped(step) },
      { title: "median", number: true, cell: ({ middle }) => brief(middle) },
      { title: "largest", number: true, cell: ({ largest }) => brief(largest) },
    ],
    rows,
  });
}

function losses(spans: readonly WatchedSpan[]): Html | null {
  const rows = rowsOf(spans).filter(({ lost }) => Number.isFinite(lost));
  const chart = lineChart({
    alt: `The share of weight changes that bfloat16 weights would have lost, ${percent(rows.at(-1)?.lost ?? Number.NaN)} on the last watched step.`,
    xLabel: "optimizer step",
    yLabel: "share of changes, %",
    include: [0],
    lines: [{ x: rows.map(({ step }) => step), y: rows.map(({ lost }) => lost * 100), color: 0 }],
  });
  if (chart === null) return null;
  return figure({
    title: "What bfloat16 weights would have lost",
    about: "The share of changes that leave a bfloat16 weight as it was, mean over the parameters.",
    chart,
    columns: [
      { title: "step", number: true, cell: ({ step }: Row) => grouped(step) },
      { title: "lost", number: true, cell: ({ lost }) => percent(lost) },
    ],
    rows,
  });
}
