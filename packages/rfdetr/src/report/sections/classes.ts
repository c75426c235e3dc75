// The figures of each class, and the curves that say which threshold to use.

import { type ClassSummary, mainFigures } from "../../eval/coco/coco-summary.js";
import {
  type ClassDetails,
  confusionScores,
  type EvaluationDetails,
  type Explanation,
  mainDetails,
} from "../../eval/details/evaluation-details.js";
import { thresholdText } from "../../support/format.js";
import { lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html, nameOf } from "../html/html.js";
import { type Column, table } from "../html/table.js";
import { fraction, grouped, listed } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";

/** Classes that have a row; a model of Objects365 has 365. */
const mostRows = 500;

/** The table of classes, and with details the curves; null without an evaluation. */
export function classes({ evaluation, details }: RunRecord): Html | null {
  if (evaluation === null || evaluation.per_class.length === 0) return null;
  const { masks, per_class: boxes } = evaluation;
  const rows: (ClassSummary & Partial<ClassDetails> & { boxAP?: number | null })[] =
    masks === undefined ? [...boxes] : masks.per_class.map((each, label) => ({ ...each, boxAP: boxes[label]?.AP }));
  rows.sort((a, b) => (b.AP ?? -1) - (a.AP ?? -1));
  type Row = (typeof rows)[number];
  const of = masks === undefined ? "" : "mask ";
  const columns: Column<Row>[] = [
    { title: "class", cell: ({ class_name }) => nameOf(String(class_name)) },
    {
      title: "objects",
      number: true,
      cell: ({ instances }) => (Number.isFinite(instances) ? grouped(instances) : "–"),
    },
    { title: `${of}AP`, number: true, cell: ({ AP }) => fraction(AP) },
    { title: `${of}AP50`, number: true, cell: ({ AP50 }) => fraction(AP50) },
    { title: `${of}AP75`, number: true, cell: ({ AP75 }) => fraction(AP75) },
    { title: `${of}AR`, number: true, cell: ({ AR }) => fraction(AR) },
    ...(masks === undefined ? [] : [{ title: "box AP", number: true, cell: ({ boxAP }: Row) => fraction(boxAP) }]),
    ...(details === null
      ? []
      : ([
          { title: "threshold", number: true, cell: ({ best }) => (best ? thresholdText(best.threshold) : "–") },
          { title: "precision", number: true, cell: ({ best }) => fraction(best?.precision) },
          { title: "recall", number: true, cell: ({ best }) => fraction(best?.recall) },
          { title: "F1", number: true, cell: ({ best }) => fraction(best?.f1) },
        ] satisfies Column<Row>[])),
  ];
  const classTable = html`${missing(rows)}${details !== null && threshold(details)}
${table(caption(rows.length), columns, rows.slice(0, mostRows))}`;
  if (details === null) return classTable;
  const whose = details.masks === undefined ? "" : " of masks";
  const main = mainDetails(details);
  return html`${classTable}
<div class="figures">${[precisionRecall(details), f1(main, whose)]}</div>${confusions(main, whose, details.origin.split)}`;
}

const caption = (count: number): string =>
  count > mostRows ? `The ${mostRows} best of ${grouped(count)} classes` : "Figures of each class, the best first";

/** Classes that nothing can be said about. */
function missing(rows: readonly ClassSummary[]): Html | null {
  const without = rows.filter(({ instances }) => instances === 0).map(({ class_name }) => String(class_name));
  if (without.length === 0 || without.length === rows.length) return null;
  const shown = without.slice(0, 8);
  return html`<p>No objects to evaluate on: ${shown.map((name, i) => html`${i > 0 && ", "}${nameOf(name)}`)}${without.length > shown.length && ` and ${without.length - shown.length} more`}.</p>`;
}

function threshold(details: EvaluationDetails): Html {
  const { best_threshold: best } = mainDetails(details);
  const whose = details.masks === undefined ? "" : " of masks";
  if (best.f1 === 0)
    return html`<p><b>No threshold helps yet</b>: at none of them is a detection right, at IoU 0.5${whose}.</p>`;
  const { threshold: other, f1 } = details.best_threshold;
  const boxes = whose !== "" && ` By the boxes it would be ${other.toFixed(2)}, with F1 ${fraction(f1)}.`;
  return html`<p><b>One threshold for all classes: ${thresholdText(best.threshold)}.</b> It gives the highest F1, ${fraction(best.f1)}, with precision ${fraction(best.precision)} and recall ${fraction(best.recall)} at IoU 0.5${whose}.${boxes} The table has the best threshold of each class.</p>`;
}

/** Precision by recall: of masks and of boxes in one chart, where there are both. */
function precisionRecall(details: EvaluationDetails): Html | null {
  const { masks } = details;
  const lines = (masks === undefined ? [details] : [masks, details]).map(({ curves, AP50 }, series) => ({
    name: series === 0 && masks !== undefined ? "masks" : "boxes",
    y: curves.mean.precision_by_recall,
    series,
    AP50,
  }));
  const { points, classes } = details.curves;
  const reached = lines.map(
    ({ name, AP50 }) => `${masks === undefined ? "AP50" : `AP50 of ${name}`} is ${fraction(AP50)}`,
  );
  const chart = lineChart({
    alt: `Precision against recall at IoU 0.5, mean over ${classes.length} classes: ${listed(reached)}.`,
    xLabel: "recall",
    yLabel: "precision",
    include: [0, 1],
    counts: false,
    lines: lines.map(({ y, series: color }) => ({ x: points, y, color })),
  });
  if (chart === null) return null;
  return figure({
    title: "Precision and recall",
    about: "Mean over the classes with objects, IoU 0.5.",
    chart,
    ...(masks === undefined ? {} : { legend: lines.map(({ name, series }) => ({ name, series })) }),
    columns: [
      { title: "recall", number: true, cell: (i: number) => thresholdText(points[i]) },
      ...lines.map(({ name, y }) => ({
        title: masks === undefined ? "precision" : `precision of ${name}`,
        number: true,
        cell: (i: number) => fraction(y[i]),
      })),
    ],
    rows: [...points.keys()],
  });
}

function f1({ curves, best_threshold }: Explanation, whose: string): Html | null {
  const { points, mean } = curves;
  const found = best_threshold.f1 > 0;
  const highest = found
    ? `F1 is highest, ${fraction(best_threshold.f1)}, at ${thresholdText(best_threshold.threshold)}`
    : "F1 is 0 throughout";
  const lines = [
    { name: "F1", y: mean.f1, series: 0 },
    { name: "precision", y: precisionOf(curves), series: 1 },
    { name: "recall", y: mean.recall, series: 2 },
  ];
  const chart = lineChart({
    alt: `F1, precision and recall by confidence threshold; ${highest}.`,
    xLabel: "confidence threshold",
    yLabel: "mean over the classes",
    include: [0, 1],
    counts: false,
    lines: lines.map(({ y, series: color }) => ({ x: points, y, color })),
    marks: found ? [best_threshold.threshold] : [],
  });
  if (chart === null) return null;
  return figure({
    title: "Which threshold to use",
    about: `Detections with a score below the threshold are left out${whose && "; right is what fits by its mask"}. Precision is the mean of the classes that still have detections, and has a gap where none has.`,
    chart,
    legend: [...lines, ...(found ? [{ name: "highest F1", series: 0, shape: "mark" as const }] : [])],
    columns: [
      { title: "threshold", number: true, cell: (i: number) => thresholdText(points[i]) },
      ...lines.map(({ name, y }) => ({ title: name, number: true, cell: (i: number) => fraction(y[i]) })),
    ],
    rows: [...points.keys()],
  });
}

/**
 * Mean precision at each threshold, of the classes that have detections there: without any, precision is not defined.
 * Files of earlier versions do not tell which classes these are.
 */
function precisionOf({ points, mean, classes }: Explanation["curves"]): number[] {
  if (classes.some(({ reached }) => reached === undefined)) return mean.precision;
  return points.map((_, i) => {
    const there = classes.filter(({ reached = 0 }) => i < reached).map(({ precision }) => precision[i]);
    return there.length === 0 ? Number.NaN : there.reduce((sum, value) => sum + value, 0) / there.length;
  });
}

/** The pairs of classes that are taken for each other most often. */
function confusions(main: Explanation, whose: string, split: string | null): Html | null {
  const { confusion, per_class } = main;
  const background = per_class.length;
  const name = (label: number): Html =>
    label === background ? html`background` : nameOf(String(per_class[label]?.class_name ?? label));
  const wrong = confusion.cells
    .filter(([predicted, truth]) => predicted !== truth && predicted !== background && truth !== background)
    .sort((a, b) => b[2] - a[2])
    .slice(0, 10);
  if (wrong.length === 0) return null;
  type Cell = (typeof wrong)[number];
  return table(
    `Which class is taken for which most often${whose && ", by masks"}, for ${confusionScores(main, split)}`,
    [
      { title: "true class", cell: ([, truth]: Cell) => name(truth) },
      { title: "taken for", cell: ([predicted]) => name(predicted) },
      { title: "times", number: true, cell: ([, , count]) => grouped(count) },
    ],
    wrong,
  );
}

/** AP by size of object, of masks where there are some, without details; null where nothing is known. */
export function sizes({ evaluation }: RunRecord): string | null {
  if (evaluation === null) return null;
  const of = mainFigures(evaluation);
  const known = (["small", "medium", "large"] as const).filter((size) => of[`AP_${size}`] != null);
  return known.length === 0
    ? null
    : `${evaluation.masks === undefined ? "" : "Mask "}AP of ${listed(known.map((size) => `${size} objects ${fraction(of[`AP_${size}`])}`))}.`;
}
