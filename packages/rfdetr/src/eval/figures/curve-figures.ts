// Precision, recall and F1 of an evaluation as curves.
import { type Axis, unitAxis } from "../../charts/axis.js";
import { drawChart, type Line } from "../../charts/chart.js";
import { type LegendEntry, sample } from "../../charts/legend.js";
import { type Figure, figure, fontSizes, roughWidth, shortened, text } from "../../charts/svg.js";
import { classColors } from "../../support/class-colors.js";
import { thresholdText } from "../../support/format.js";
import { largestOf } from "../../support/lists.js";
import { type EvaluationDetails, mainDetails } from "../details/evaluation-details.js";
import { figureWidth, heading, margin } from "./layout.js";

/** Up to this many classes are all named; of more, those with the lowest figures are. */
const mostNamed = 24;
const named = 12;
const meanWidth = 3;

const area = { left: 64, top: 64, width: figureWidth - 64 - 20, height: 290 };
const legendTop = area.top + area.height + 56;

/**
 * Precision against recall at IoU 0.5: one line for each class with ground truth, and their mean; of masks where these
 * were evaluated.
 * @example
 * import { readFileSync } from "node:fs";
 * import { precisionRecallFigure } from "rfdetr/eval";
 * const { svg } = precisionRecallFigure(JSON.parse(readFileSync("runs/birds/evaluation.json", "utf8")));
 */
export function precisionRecallFigure(
  details: Pick<EvaluationDetails, "curves" | "per_class" | "AP50" | "masks">,
): Figure {
  const { curves, per_class, AP50 } = mainDetails(details);
  const whose = ofMasks(details);
  const colors = classColors(per_class.map(({ class_name }) => class_name));
  const classes = curves.classes.map(({ label, precision_by_recall }) => ({
    name: per_class[label].class_name,
    color: colors[label],
    y: precision_by_recall,
    order: per_class[label].AP50 ?? 0,
    value: shareText(per_class[label].AP50),
  }));
  return curveFigure({
    title: "Precision and recall",
    subtitle: `at IoU 0.5${whose}; the legend has AP50`,
    alt: `Curves of precision against recall at IoU 0.5${whose}. AP50 of all classes is ${shareText(AP50)}. ${spoken(classes)}`,
    x: unitAxis("recall"),
    y: unitAxis("precision"),
    points: curves.points,
    classes,
    mean: { y: curves.mean.precision_by_recall, value: shareText(AP50) },
  });
}

/**
 * F1 against the confidence threshold at IoU 0.5: one line for each class with ground truth, and their mean; of masks
 * where these were evaluated. The legend has the threshold to use for each class.
 */
export function f1Figure(
  details: Pick<EvaluationDetails, "curves" | "per_class" | "best_threshold" | "masks">,
): Figure {
  const { curves, per_class, best_threshold } = mainDetails(details);
  const whose = ofMasks(details);
  const colors = classColors(per_class.map(({ class_name }) => class_name));
  const classes = curves.classes.map(({ label, precision, recall }) => {
    const best = per_class[label].best;
    return {
      name: per_class[label].class_name,
      color: colors[label],
      y: precision.map((p, i) => (p + recall[i] > 0 ? (2 * p * recall[i]) / (p + recall[i]) : 0)),
      order: best?.f1 ?? 0,
      value: best === null ? "–" : operating(best),
    };
  });
  const { threshold, f1 } = best_threshold;
  return curveFigure({
    title: "F1 and confidence threshold",
    subtitle: `at IoU 0.5${whose}; the legend has the best F1 and its threshold`,
    alt: `Curves of F1 against the confidence threshold at IoU 0.5${whose}. The best mean F1 is ${operating(best_threshold)}. ${spoken(classes)}`,
    x: unitAxis("confidence threshold"),
    y: unitAxis("F1"),
    points: curves.points,
    classes,
    mean: { y: curves.mean.f1, value: operating(best_threshold), mark: [threshold, f1] },
  });
}

const ofMasks = ({ masks }: Pick<EvaluationDetails, "masks">): string => (masks === undefined ? "" : " of masks");

interface Curve {
  name: string;
  color: string;
  y: readonly number[];
  /** The lowest are named where there are too many. */
  order: number;
  value: string;
}

interface Curves {
  title: string;
  subtitle: string;
  alt: string;
  x: Axis;
  y: Axis;
  points: readonly number[];
  classes: readonly Curve[];
  mean: { y: readonly number[]; value: string; mark?: readonly [number, number] };
}

function curveFigure({ title, subtitle, alt, x, y, points, classes, mean }: Curves): Figure {
  const many = classes.length > mostNamed;
  const lowest = [...classes].sort((a, b) => a.order - b.order).slice(0, named);
  const shown = many ? lowest : classes;
  const lines: Line[] = classes.map((curve) => ({
    color: curve.color,
    width: many ? 1 : 2,
    ...(many && !lowest.includes(curve) ? { opacity: 0.35 } : {}),
    x: points,
    y: curve.y,
  }));
  // With one class its line is the mean.
  const single = classes.length === 1;
  lines.push({ color: "ink", width: single ? 0 : meanWidth, x: points, y: mean.y, ...mark(mean) });
  const entries: Named[] = [
    ...(single ? [] : [{ color: "ink", label: "all classes", value: mean.value }]),
    ...shown.map(({ color, name, value }) => ({ color, label: name, value })),
  ];
  const note = many ? 24 : 0;
  const box = legend(legendTop + note, entries);
  return figure({
    title,
    alt,
    width: figureWidth,
    height: legendTop + note + box.height + 14,
    parts: [
      ...heading(title, subtitle),
      ...drawChart(area, { x, y, lines }),
      ...(many ? [text(16, legendTop + 14, `The lowest ${named} of ${classes.length} classes:`)] : []),
      ...box.parts,
    ],
  });
}

/** An entry of the legend, with its figure in a column of its own. */
interface Named extends LegendEntry {
  value: string;
}

const rowHeight = 21;

/**
 * Entries below each other, in two columns where their texts are short.
 * @returns the elements, and their height
 */
function legend(top: number, entries: readonly Named[]): { parts: string[]; height: number } {
  const size = fontSizes.text;
  const all = figureWidth - 2 * margin;
  const widest = largestOf(
    entries.map(({ label, value }) => roughWidth(`${label} ${value}`, size)),
    0,
  );
  const columns = entries.length > 3 && widest < all / 2 - 34 ? 2 : 1;
  const width = all / columns;
  const rows = Math.ceil(entries.length / columns);
  const parts = entries.flatMap(({ color, label, value }, i) => {
    const x = margin + Math.floor(i / rows) * width;
    const y = top + (i % rows) * rowHeight + rowHeight / 2;
    const end = x + width - 12;
    const room = end - x - 32 - roughWidth(value, size) - 8;
    return [
      sample(x, y, 22, color),
      text(x + 30, y, shortened(label, size, room), { middle: true }),
      text(end, y, value, { middle: true, anchor: "end", tone: "soft" }),
    ];
  });
  return { parts, height: rows * rowHeight };
}

const mark = ({ mark: at }: Curves["mean"]): Pick<Line, "mark"> => (at === undefined ? {} : { mark: at });

/** The classes for a reader who cannot see them, the lowest first. */
function spoken(classes: readonly Curve[]): string {
  if (classes.length === 0) return "No class has ground truth.";
  const all = [...classes].sort((a, b) => a.order - b.order).slice(0, named);
  const start = classes.length > named ? `The lowest ${named} of ${classes.length} classes` : "The classes";
  return `${start}: ${all.map(({ name, value }) => `${shortened(name, 1, 40)} ${value}`).join(", ")}.`;
}

const shareText = (value: number | null): string => (value === null ? "–" : value.toFixed(3));
const operating = ({ f1, threshold }: { f1: number; threshold: number }): string =>
  `${f1.toFixed(2)} at ${thresholdText(threshold)}`;
