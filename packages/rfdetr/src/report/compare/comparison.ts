// Several runs side by side.

import { rowsOfLine } from "../../eval/figures/rows-of-line.js";
import { largestOf, smallestOf } from "../../support/lists.js";
import { lineChart } from "../charts/draw.js";
import { figure, type LegendEntry } from "../charts/figure.js";
import { type Html, html, nameOf } from "../html/html.js";
import { type Chapter, page } from "../html/page.js";
import { subsection } from "../html/subsection.js";
import { type Column, table } from "../html/table.js";
import { brief, fraction, listed } from "../html/words.js";
import { judgedByBest } from "../records/judged.js";
import type { RunRecord } from "../records/run-record.js";
import { endNotice } from "../sections/overview.js";
import { type Compared, classes, star } from "./classes.js";
import { compared, type Fact, numericsFacts, resultFacts, runNames } from "./facts.js";
import { hasMasks, precisionsOf } from "./likeness.js";
import { settings } from "./settings.js";
import { moreSeeds, overSeeds, sentence } from "./verdict.js";

/** The comparison as one HTML file that loads nothing. */
export function comparisonReport(records: readonly RunRecord[]): string {
  const runs = records.map(judgedByBest);
  const all: Compared = { runs, names: runNames(runs) };
  const chapters = [
    {
      id: "result",
      title: "Result",
      content: result(all),
    },
    { id: "curves", title: "Curves", content: curves(all) },
    { id: "settings", title: "Settings that differ", content: settings(all) },
    { id: "classes", title: "Classes", content: classes(all, anyOfMasks(runs)) },
    { id: "numerics", title: "Numerics", content: numerics(all) },
  ];
  const head = html`<p class="kind">Comparison of training runs</p>
<h1>${all.names.map((name, i) => html`${i > 0 && ", "}${nameOf(name)}`)}</h1>
<p class="lead">${sentence(all)}</p>
${runs.map((run, i) => {
  const notice = endNotice(run);
  return notice !== null && html`<h2 class="kind">${nameOf(all.names[i])}</h2>${notice}`;
})}`;
  const title = `${listed(all.names)}: comparison of training runs`;
  return page(
    title,
    head,
    chapters.filter((chapter): chapter is Chapter => chapter.content !== null),
  );
}

function result(all: Compared): Html | null {
  const figures = facts(resultCaption, all, resultFacts(all.runs));
  return figures && html`${overSeeds(all)}${figures}${moreSeeds(all)}`;
}

const resultCaption =
  "Figures of each run; the better ones are bold, with a star. AP has one where its seeds do not explain the difference, memory from 10 % on. Times have none, since what else the machine did is in them";
const numericsCaption =
  "Figures of each run; the better ones are bold, with a star. Times have none, since what else the machine did is in them";

function facts(caption: string, { runs, names }: Compared, list: readonly Fact[]): Html | null {
  const rows = list
    .map((fact) => ({ fact, ...compared(fact, runs) }))
    .filter(({ values }) => values.some((value) => value !== null));
  if (rows.length === 0) return null;
  type Row = (typeof rows)[number];
  return table(
    caption,
    [
      { title: "figure", cell: ({ fact }: Row) => fact.name },
      ...names.map(
        (name, i): Column<Row> => ({
          title: nameOf(name),
          number: true,
          cell: ({ fact, values, best }) => {
            const value = values[i];
            return value === null ? "–" : star(best.includes(i), fact.text(value));
          },
        }),
      ),
    ],
    rows,
  );
}

interface Overlay {
  title: string;
  about?: string;
  xLabel: string;
  yLabel: string;
  scale?: "linear" | "log" | "log2";
  include?: readonly number[];
  steps?: boolean;
  /** Whether the x axis counts, so that it has no fractions; default true. */
  counts?: boolean;
  of: (run: RunRecord) => { x: number[]; y: number[] };
  text: (value: number) => string;
}

const ofEpoch =
  (name: string) =>
  ({ metrics }: RunRecord): { x: number[]; y: number[] } => {
    const rows = rowsOfLine(metrics.rows, name);
    return { x: rows.map((row) => row.epoch ?? Number.NaN), y: rows.map((row) => row[name] ?? Number.NaN) };
  };
const ofStep =
  (name: string, kind: "mean" | "last" = "mean") =>
  ({ numerics: { points } }: RunRecord): { x: number[]; y: number[] } => ({
    ...joined(points.last, points.courses[name]?.[kind] ?? points.last.map(() => Number.NaN), kind),
  });

/** Points of a course over the steps at most: lines that swing with each step hide one another. */
const mostPoints = 60;

function joined(x: number[], y: number[], kind: "mean" | "last"): { x: number[]; y: number[] } {
  const size = Math.ceil(x.length / mostPoints);
  if (size < 2 || kind === "last") return { x, y };
  const starts = Array.from({ length: Math.ceil(x.length / size) }, (_, i) => i * size);
  const meanFrom = (start: number): number => {
    const known = y.slice(start, start + size).filter(Number.isFinite);
    return known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  return { x: starts.map((start) => x[Math.min(start + size, x.length) - 1]), y: starts.map(meanFrom) };
}

function overlay({ runs, names }: Compared, { of, text, steps = false, ...options }: Overlay): Html | null {
  const lines = runs.map(of);
  const legend: LegendEntry[] = [];
  lines.forEach(({ y }, i) => {
    if (y.some(Number.isFinite)) legend.push({ name: nameOf(names[i]), series: i });
  });
  const last = (y: readonly number[]): number => y.findLast(Number.isFinite) ?? Number.NaN;
  const chart = lineChart({
    ...options,
    alt: `${options.title} of ${legend.length} runs over each other; at the end: ${legend.map(({ series }) => `${names[series]} ${text(last(lines[series].y))}`).join(", ")}.`,
    lines: lines.map((line, series) => ({ ...line, color: series, steps })),
  });
  if (chart === null) return null;
  return figure({
    ...options,
    chart,
    legend,
    columns: [
      { title: "run", cell: ({ series }: LegendEntry) => nameOf(names[series]) },
      { title: `first, at ${options.xLabel}`, number: true, cell: ({ series }) => place(lines[series], "first", text) },
      {
        title: "least",
        number: true,
        cell: ({ series }) => text(smallestOf(lines[series].y.filter(Number.isFinite))),
      },
      { title: "most", number: true, cell: ({ series }) => text(largestOf(lines[series].y.filter(Number.isFinite))) },
      { title: `last, at ${options.xLabel}`, number: true, cell: ({ series }) => place(lines[series], "last", text) },
    ],
    rows: legend,
  });
}

function place({ x, y }: { x: number[]; y: number[] }, end: "first" | "last", text: (value: number) => string): string {
  const i = end === "first" ? y.findIndex(Number.isFinite) : y.findLastIndex(Number.isFinite);
  return `${text(y[i])} at ${brief(x[i])}`;
}

/** Below two minutes, seconds. */
const fewSeconds = 120;

function curves(all: Compared): Html | null {
  const AP = anyOfMasks(all.runs) ? "box AP" : "AP";
  const main = allOfMasks(all.runs) ? "mask AP" : AP;
  const longest = largestOf(
    all.runs.flatMap(({ metrics }) => metrics.rows.map((row) => row.train_seconds ?? 0)),
    0,
  );
  const unit = longest < fewSeconds ? "seconds" : "minutes";
  const figures = [
    overlay(all, {
      title: "Mask AP by epoch",
      xLabel: "epoch",
      yLabel: "mask AP",
      include: [0],
      of: ofEpoch("val/mask_AP"),
      text: fraction,
    }),
    overlay(all, {
      title: "Mask AP50 by epoch",
      xLabel: "epoch",
      yLabel: "mask AP50",
      include: [0],
      of: ofEpoch("val/mask_AP50"),
      text: fraction,
    }),
    overlay(all, {
      title: `${capital(AP)} by epoch`,
      xLabel: "epoch",
      yLabel: AP,
      include: [0],
      of: ofEpoch("val/AP"),
      text: fraction,
    }),
    overlay(all, {
      title: `${capital(AP)}50 by epoch`,
      xLabel: "epoch",
      yLabel: `${AP}50`,
      include: [0],
      of: ofEpoch("val/AP50"),
      text: fraction,
    }),
    overlay(all, {
      title: "Training loss",
      about: "Mean of the steps of each point.",
      xLabel: "optimizer step",
      yLabel: "loss",
      scale: "log",
      of: ofStep("loss"),
      text: brief,
    }),
    overlay(all, {
      title: `${capital(main)} by training time`,
      xLabel: `${unit} of training`,
      counts: false,
      yLabel: main,
      include: [0],
      of: byTime(unit, allOfMasks(all.runs) ? "val/mask_AP" : "val/AP"),
      text: fraction,
    }),
  ].filter((each) => each !== null);
  return figures.length === 0 ? null : html`<div class="figures">${figures}</div>`;
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

const anyOfMasks = (runs: readonly RunRecord[]): boolean => runs.some(hasMasks);
const allOfMasks = (runs: readonly RunRecord[]): boolean => runs.every(hasMasks);

const byTime =
  (unit: "seconds" | "minutes", column: string) =>
  ({ metrics }: RunRecord): { x: number[]; y: number[] } => {
    const rows = rowsOfLine(metrics.rows, column);
    const x = rows.map((row) => (row.train_seconds ?? Number.NaN) / (unit === "minutes" ? 60 : 1));
    return { x, y: rows.map((row) => row[column] ?? Number.NaN) };
  };

function numerics(all: Compared): Html | null {
  const figures = [
    overlay(all, {
      title: "Loss scale",
      xLabel: "optimizer step",
      yLabel: "loss scale",
      scale: "log2",
      steps: true,
      of: ofStep("scale", "last"),
      text: brief,
    }),
    overlay(all, {
      title: "Gradient norm",
      xLabel: "optimizer step",
      yLabel: "L2 norm",
      scale: "log",
      of: ofStep("grad_norm"),
      text: brief,
    }),
    overlay(all, {
      title: "Time of a step",
      xLabel: "optimizer step",
      yLabel: "seconds",
      include: [0],
      of: ofStep("seconds"),
      text: brief,
    }),
  ].filter((each) => each !== null);
  const precisions = precisionsOf(all.runs);
  const shown = numericsFacts.filter(({ ofFloat16 }) => ofFloat16 !== true || precisions.length < 2);
  const table = facts(numericsCaption, all, shown);
  if (figures.length === 0 && table === null) return null;
  const left =
    shown.length < numericsFacts.length &&
    html`<p>The runs are in ${listed(precisions)}: how near their values came to the limits of float16 was not measured in the same way, and only in 16-mixed with a loss scale. The report of each run tells its own.</p>`;
  return html`${table}${left}${subsection("Over the steps", figures.length > 0 && html`<div class="figures">${figures}</div>`)}`;
}
