// The course of a run in one picture: losses, AP, learning rate and numerics over its epochs.
import { type Axis, linearAxis, logAxis, shortNumber } from "../../charts/axis.js";
import { drawChart, type Line } from "../../charts/chart.js";
import { legendRow } from "../../charts/legend.js";
import { type Figure, figure, text } from "../../charts/svg.js";
import { counted } from "../../support/format.js";
import { largestOf, smallestOf } from "../../support/lists.js";
import { figureWidth, heading, margin } from "./layout.js";
import { mainColumns } from "./main-columns.js";
import { type MetricsRow, rowsOfLine } from "./rows-of-line.js";

interface Panel {
  title: string;
  /** Columns with their names in the legend; a panel none of whose columns has a value is left out. */
  columns: readonly (readonly [column: string, label: string])[];
  axis: (values: number[]) => Axis;
}

const fromZero = (values: number[]): Axis => linearAxis([0, ...values]);
const spread = (values: number[]): Axis => {
  const positive = values.filter((value) => value > 0);
  return largestOf(positive) > 20 * smallestOf(positive) ? logAxis(values, { count: 4 }) : linearAxis(values);
};

const panels: readonly Panel[] = [
  {
    title: "loss",
    columns: [
      ["train/loss", "training"],
      ["val/loss", "validation"],
    ],
    axis: spread,
  },
  {
    title: "loss of the last layer",
    columns: [
      ["train/loss_ce", "class"],
      ["train/loss_bbox", "L1"],
      ["train/loss_giou", "GIoU"],
    ],
    axis: fromZero,
  },
  {
    title: "mask loss of the last layer",
    columns: [
      ["train/loss_mask_ce", "cross-entropy"],
      ["train/loss_mask_dice", "Dice"],
    ],
    axis: fromZero,
  },
  {
    title: "mask AP",
    columns: [
      ["val/mask_AP", "AP"],
      ["val/mask_AP50", "AP50"],
      ["val/mask_AP75", "AP75"],
    ],
    axis: fromZero,
  },
  {
    title: "AP",
    columns: [
      ["val/AP", "AP"],
      ["val/AP50", "AP50"],
      ["val/AP75", "AP75"],
    ],
    axis: fromZero,
  },
  {
    title: "AP by size",
    columns: [
      ["val/AP_small", "small"],
      ["val/AP_medium", "medium"],
      ["val/AP_large", "large"],
    ],
    axis: fromZero,
  },
  { title: "learning rate", columns: [["lr", "learning rate"]], axis: fromZero },
  { title: "gradient norm", columns: [["train/grad_norm", "mean of the epoch"]], axis: spread },
  {
    title: "loss scale",
    columns: [["loss_scale", "at the end of the epoch"]],
    axis: (values) => logAxis(values, { base: 2 }),
  },
  {
    title: "skipped steps",
    columns: [["skipped_steps", "since the start"]],
    axis: (values) => linearAxis([0, ...values], { whole: true }),
  },
];

const columns = 2;
const [cellWidth, cellHeight] = [figureWidth / columns, 218];
const head = 62;

/**
 * What a run did, epoch by epoch. Panels without a value, such as the loss scale where gradients are not scaled, are
 * left out.
 * @param rows in the order of the epochs
 * @param title of the run
 */
export function resultsFigure(rows: readonly MetricsRow[], title = "Results"): Figure {
  const epochs = rows.map(epochOf);
  const shown = panels.filter((panel) => valuesOf(rows, panel).length > 0);
  const x = linearAxis(epochs, { whole: true, tight: true });
  const parts = heading(title, rows.length === 0 ? "no epoch has ended yet" : "by epoch");
  for (const [i, panel] of shown.entries()) {
    const left = (i % columns) * cellWidth;
    const top = head + Math.floor(i / columns) * cellHeight;
    parts.push(...panelParts(rows, x, panel, left, top));
  }
  const height = head + Math.max(1, Math.ceil(shown.length / columns)) * cellHeight;
  return figure({ title, alt: spoken(rows), width: figureWidth, height, parts });
}

function panelParts(rows: readonly MetricsRow[], x: Axis, panel: Panel, left: number, top: number): string[] {
  const area = { left: left + 52, top: top + 50, width: cellWidth - 52 - 14, height: cellHeight - 50 - 34 };
  const lines = panel.columns.map(([column], color): Line => {
    const there = rowsOfLine(rows, column);
    return { color, x: there.map(epochOf), y: there.map((row) => row[column] ?? null) };
  });
  const entries = panel.columns.map(([, label], color) => ({ color, label }));
  return [
    text(left + margin, top + 16, panel.title, { weight: 600 }),
    ...legendRow(left + margin, top + 30, entries),
    ...drawChart(area, { x, y: panel.axis(valuesOf(rows, panel)), lines, size: 12 }),
  ];
}

const epochOf = ({ epoch }: MetricsRow): number => epoch ?? Number.NaN;

const valuesOf = (rows: readonly MetricsRow[], panel: Panel): number[] =>
  rows.flatMap((row) => panel.columns.flatMap(([column]) => row[column] ?? [])).filter(Number.isFinite);

function spoken(rows: readonly MetricsRow[]): string {
  const last = rows.at(-1);
  if (last === undefined) return "No epoch has ended yet.";
  const { AP, of } = mainColumns(Object.keys(last));
  const best = rows.reduce<MetricsRow | null>(
    (found, row) => ((row[AP] ?? -1) > (found?.[AP] ?? -1) ? row : found),
    null,
  );
  const loss = last["train/loss"] ?? null;
  return [
    `${counted(rows.length, "epoch")} of training.`,
    ...(loss === null ? [] : [`The loss ends at ${shortNumber(loss)}.`]),
    ...(best === null ? [] : [`The best ${of}AP is ${(best[AP] as number).toFixed(3)}, in epoch ${best.epoch}.`]),
    `${counted(last.skipped_steps ?? 0, "step was", "steps were")} skipped.`,
  ].join(" ");
}
