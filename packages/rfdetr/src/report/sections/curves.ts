// The course of the training: loss, figures, learning rate.
import type { Line } from "../../charts/chart.js";
import type { Color } from "../../charts/svg.js";
import { mainColumns } from "../../eval/figures/main-columns.js";
import { rowsOfLine } from "../../eval/figures/rows-of-line.js";
import { lineChart } from "../charts/draw.js";
import { figure } from "../charts/figure.js";
import { type Html, html } from "../html/html.js";
import { brief, fraction, grouped } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";
import { ofPoints } from "../records/step-points.js";

/** All curves of a run; null without any. */
export function curves(run: RunRecord): Html | null {
  const figures = [
    figuresByEpoch(run, "mask"),
    figuresByEpoch(run, "box"),
    lossByStep(run),
    bothLosses(run),
    lossByEpoch(run),
    ...ownFigures(run),
    stepCurve(run, "grad_norm"),
    stepCurve(run, "lr"),
  ].filter((each) => each !== null);
  return figures.length === 0 ? null : html`<div class="figures">${figures}</div>`;
}

type Row = Record<string, number | null>;
const column = (rows: readonly Row[], name: string): number[] => rows.map((row) => row[name] ?? Number.NaN);

/** A line by epoch. */
function epochLine(rows: readonly Row[], key: string, color: Color): Line {
  const there = rowsOfLine(rows, key);
  return { x: column(there, "epoch"), y: column(there, key), color };
}

/** The table of figures by epoch: a column for each line. */
const byEpoch = (
  lines: readonly { name: string; key: string }[],
  shown: (value: number | null | undefined) => string = brief,
) => [
  { title: "epoch", number: true, cell: (row: Row) => grouped(row.epoch ?? 0) },
  ...lines.map(({ name, key }) => ({ title: name, number: true, cell: (row: Row) => shown(row[key]) })),
];
const anyFinite = (values: readonly number[]): boolean => values.some(Number.isFinite);

function figuresByEpoch({ metrics }: RunRecord, of: "mask" | "box"): Html | null {
  const main = of === "mask" ? "val/mask_AP" : "val/AP";
  const rows = metrics.rows.filter((row) => row[main] !== null && row[main] !== undefined);
  const lines = [
    { name: "AP", key: main, series: 0 },
    { name: "AP50", key: `${main}50`, series: 1 },
    { name: "AP75", key: `${main}75`, series: 2 },
  ].filter(({ key }) => anyFinite(column(rows, key)));
  const both = mainColumns(metrics.columns).of !== "";
  const whose = both ? ` of ${of === "mask" ? "masks" : "boxes"}` : "";
  const chart = lineChart({
    alt: `${lines.map(({ name }) => name).join(", ")}${whose} by epoch; at the end AP is ${fraction(rows.at(-1)?.[main])}.`,
    xLabel: "epoch",
    yLabel: "average precision",
    include: [0],
    lines: lines.map(({ key, series }) => epochLine(rows, key, series)),
  });
  if (chart === null) return null;
  return figure({
    title: `Average precision${whose}`,
    about: "On the validation split. AP is the mean over IoU 0.5 to 0.95; AP50 and AP75 are at one IoU.",
    chart,
    legend: lines,
    columns: byEpoch(lines, fraction),
    rows,
  });
}

/** Whether steps had images of different sizes. */
const isMultiScale = (config: RunRecord["config"]): boolean =>
  [true, "per-batch"].includes(config?.settings?.multi_scale as boolean);

function lossByStep({ numerics: { points }, config }: RunRecord): Html | null {
  const { loss } = points.courses;
  if (loss === undefined) return null;
  const positive = loss.min.every((value) => !(value <= 0));
  const chart = lineChart({
    alt: `The training loss over the optimizer steps, from ${brief(loss.mean.find(Number.isFinite))} to ${brief(loss.mean.findLast(Number.isFinite))}.`,
    xLabel: "optimizer step",
    yLabel: "loss",
    scale: positive ? "log" : "linear",
    lines: [{ x: points.last, y: loss.mean, low: loss.min, high: loss.max, color: 0 }],
    marks: points.first.filter((_, i) => points.skipped[i] > 0),
  });
  if (chart === null) return null;
  const skipped = points.skipped.some((count) => count > 0);
  return figure({
    title: "Training loss",
    about: `Of every step${points.width > 1 ? `, ${grouped(points.width)} to a point` : ""}${positive ? ", on a logarithmic scale" : ""}.${isMultiScale(config) ? " The size of the images changes from step to step (multi_scale): a step of small ones has a larger loss, so single peaks are no fault." : ""}`,
    chart,
    legend: [
      { name: ofPoints(points, "loss"), series: 0 },
      ...(points.width > 1 ? [{ name: "least and most", series: 0, shape: "band" as const }] : []),
      ...(skipped ? [{ name: "skipped steps", series: 0, shape: "mark" as const }] : []),
    ],
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      { title: ofPoints(points, "loss"), number: true, cell: (i: number) => brief(loss.mean[i]) },
      ...(points.width > 1
        ? [
            { title: "least", number: true, cell: (i: number) => brief(loss.min[i]) },
            { title: "most", number: true, cell: (i: number) => brief(loss.max[i]) },
          ]
        : []),
    ],
    rows: [...points.last.keys()],
  });
}

function bothLosses({ metrics: { rows } }: RunRecord): Html | null {
  const lines = [
    { name: "training", key: "train/loss", series: 0 },
    { name: "validation", key: "val/loss", series: 1 },
  ];
  if (!anyFinite(column(rows, "val/loss"))) return null;
  const chart = lineChart({
    alt: `The loss by epoch: ${lines.map(({ name, key }) => `${name} ${brief(rows.at(-1)?.[key])} at the end`).join(", ")}.`,
    xLabel: "epoch",
    yLabel: "loss",
    lines: lines.map(({ key, series }) => epochLine(rows, key, series)),
  });
  if (chart === null) return null;
  return figure({
    title: "Training and validation loss",
    about:
      "Training: mean over the steps, of augmented images. Validation: of the weights that are shipped. Where the second rises while the first falls, the model learns the training images by heart.",
    chart,
    legend: lines,
    columns: byEpoch(lines),
    rows,
  });
}

const terms = [
  { name: "class", key: "train/loss_ce", series: 0 },
  { name: "box", key: "train/loss_bbox", series: 1 },
  { name: "GIoU", key: "train/loss_giou", series: 2 },
  { name: "mask", key: "train/loss_mask_ce", series: 3 },
  { name: "mask Dice", key: "train/loss_mask_dice", series: 4 },
] as const;

function lossByEpoch({ metrics: { rows } }: RunRecord): Html | null {
  const lines = terms.filter(({ key }) => anyFinite(column(rows, key)));
  const chart = lineChart({
    alt: `The terms of the loss by epoch: ${lines.map(({ name, key }) => `${name} ${brief(rows.at(-1)?.[key])} at the end`).join(", ")}.`,
    xLabel: "epoch",
    yLabel: "mean over the epoch",
    include: [0],
    lines: lines.map(({ key, series }) => epochLine(rows, key, series)),
  });
  if (chart === null) return null;
  return figure({
    title: "Terms of the loss",
    about:
      "Of the last decoder layer, without their weights. The training loss adds up, with their weights, those of all prediction layers: every decoder layer and the query selection. So it is several times as large.",
    chart,
    legend: [...lines],
    columns: byEpoch(lines),
    rows,
  });
}

/** Most figures of callbacks that are drawn. */
const mostOwn = 12;

/** A curve for each figure that callbacks of the run have recorded. */
function ownFigures({ metrics: { columns, rows } }: RunRecord): Html[] {
  const own = columns.filter((name) => name.includes("/") && !/^(train|val)\//.test(name));
  return own.slice(0, mostOwn).flatMap((name) => {
    const chart = lineChart({
      alt: `${name} by epoch, ${brief(rows.at(-1)?.[name])} at the end.`,
      xLabel: "epoch",
      yLabel: name,
      lines: [epochLine(rows, name, 0)],
    });
    if (chart === null) return [];
    return figure({
      title: name,
      about: "Recorded by the callbacks of the run.",
      chart,
      columns: byEpoch([{ name, key: name }]),
      rows,
    });
  });
}

const stepCurves = {
  grad_norm: {
    title: "Gradient norm",
    yLabel: "L2 norm",
    about: "Of all gradients together, before clipping.",
    scale: "log",
  },
  lr: {
    title: "Learning rate",
    yLabel: "learning rate",
    about: "Of the decoder; other parts have a share of it.",
    scale: "linear",
  },
} as const;

function stepCurve({ numerics: { points } }: RunRecord, name: keyof typeof stepCurves): Html | null {
  const course = points.courses[name];
  if (course === undefined) return null;
  const { title, yLabel, scale } = stepCurves[name];
  const isScaled = points.courses.scale?.max.some((each) => each !== 1) ?? false;
  const about =
    name === "grad_norm" && isScaled
      ? "Of all gradients together, without the loss scale, before clipping."
      : stepCurves[name].about;
  const chart = lineChart({
    alt: `${title} over the optimizer steps, from ${brief(course.mean.find(Number.isFinite))} to ${brief(course.mean.findLast(Number.isFinite))}.`,
    xLabel: "optimizer step",
    yLabel,
    scale,
    include: scale === "linear" ? [0] : [],
    lines: [
      { x: points.last, y: course.mean, ...(scale === "log" ? { low: course.min, high: course.max } : {}), color: 0 },
    ],
  });
  if (chart === null) return null;
  return figure({
    title,
    about,
    chart,
    columns: [
      { title: "step", number: true, cell: (i: number) => grouped(points.last[i]) },
      { title: ofPoints(points, title.toLowerCase()), number: true, cell: (i: number) => brief(course.mean[i]) },
      { title: "most", number: true, cell: (i: number) => brief(course.max[i]) },
    ],
    rows: [...points.last.keys()],
  });
}
