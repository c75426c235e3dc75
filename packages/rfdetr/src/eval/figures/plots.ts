// Pictures of an evaluation as SVG. For programs (`rfdetr/eval`); no command uses it.
import { escapeXml } from "../../support/xml.js";
import type { ConfusionMatrix } from "./confusion-matrix.js";
import type { PrecisionRecallCurves } from "./curves.js";
import type { F1Sweep } from "./f1-sweep.js";
import { chart, type Line, svgDocument, text } from "./svg-chart.js";

/** Up to this many classes have a colour and an entry in the legend; more are thin grey lines without a legend. */
const LEGEND_LIMIT = 12;
/** Cells are labelled up to this many rows, names written out in the axes up to four times as many. */
const CELL_LABEL_LIMIT = 30;

// Okabe and Ito's palette, distinguishable with colour blindness, then darker variants.
const LINE_COLORS = [
  "#0072b2",
  "#e69f00",
  "#009e73",
  "#cc79a7",
  "#56b4e9",
  "#d55e00",
  "#7a5195",
  "#8c6d31",
  "#637939",
  "#ad494a",
  "#5254a3",
  "#777777",
];
const MEAN_COLOR = "#111111";

/** Precision against recall at IoU 0.5, one line a class and their mean, as an SVG document. */
export function precisionRecallPlot(curves: PrecisionRecallCurves): string {
  const lines = classLines(
    curves.classes.map(({ class_name, AP50, precision }) => ({ name: `${class_name} ${figure(AP50)}`, y: precision })),
    curves.recall,
  );
  lines.push({
    label: `all classes ${figure(curves.AP50)} AP50`,
    color: MEAN_COLOR,
    width: 3,
    x: curves.recall,
    y: curves.mean,
  });
  return chart({ title: "Precision and recall, IoU 0.5", xLabel: "recall", yLabel: "precision", lines });
}

/** F1 against the confidence threshold, one line a class with ground truth and their mean, as an SVG document. */
export function f1Plot(sweep: F1Sweep, classNames: readonly string[]): string {
  const shown = sweep.classes
    .map((curve, label) => ({ name: classNames[label], y: curve.f1 }))
    .filter(({ y }) => y.some((value) => value > 0));
  const lines = classLines(shown, sweep.thresholds);
  const { threshold, f1 } = sweep.best;
  lines.push({
    label: `all classes ${figure(f1)} at ${threshold.toFixed(2)}`,
    color: MEAN_COLOR,
    width: 3,
    x: sweep.thresholds,
    y: sweep.macro.f1,
    mark: [threshold, f1],
  });
  return chart({ title: "F1 and confidence, IoU 0.5", xLabel: "confidence", yLabel: "F1", lines });
}

function classLines(curves: readonly { name: string; y: Float64Array }[], x: Float64Array): Line[] {
  const named = curves.length <= LEGEND_LIMIT;
  return curves.map(({ name, y }, i) => ({
    label: named ? name : undefined,
    color: named ? LINE_COLORS[i % LINE_COLORS.length] : "#b8bec6",
    width: named ? 1.5 : 0.8,
    x,
    y,
  }));
}

/**
 * Confusion matrix as an SVG document: columns are the true classes, normalised to 1, rows the predicted ones. Darker
 * is more; each cell has a tooltip with its count.
 */
export function confusionPlot({ names, counts, size, confidence, iou }: ConfusionMatrix): string {
  const longest = Math.min(24, Math.max(...names.map((name) => name.length)));
  const cell = Math.max(6, Math.min(64, Math.floor(640 / size)));
  const named = size <= CELL_LABEL_LIMIT * 4;
  const nameSize = Math.min(13, Math.max(5, cell * 0.7));
  const margin = named ? Math.ceil(longest * nameSize * 0.55) + 14 : 24;
  const left = margin + 28;
  const top = 64;
  const extent = cell * size;
  const width = left + extent + 24;
  const height = top + extent + margin + 32;

  const totals = new Float64Array(size);
  for (let r = 0; r < size; r++) for (let c = 0; c < size; c++) totals[c] += counts[r * size + c];
  const parts: string[] = [
    text(left, 26, "Confusion matrix", { size: 17, weight: 600 }),
    text(left, 46, `confidence > ${confidence}, IoU > ${iou}; share of each true class`, {
      size: 12,
      color: "#57606a",
    }),
    `<rect x="${left}" y="${top}" width="${extent}" height="${extent}" fill="#fff" stroke="#8c959f"/>`,
  ];
  for (let r = 0; r < size; r++) {
    for (let c = 0; c < size; c++) {
      const count = counts[r * size + c];
      if (count === 0) continue;
      const share = count / totals[c];
      const x = left + c * cell;
      const y = top + r * cell;
      const title = `predicted ${names[r]}, true ${names[c]}: ${count} (${(share * 100).toFixed(1)} %)`;
      parts.push(
        `<rect x="${x}" y="${y}" width="${cell}" height="${cell}" fill="${shade(share)}"><title>${escapeXml(title)}</title></rect>`,
      );
      if (size <= CELL_LABEL_LIMIT && share >= 0.005) {
        const color = share > 0.2 ? "#fff" : "#1f2328";
        parts.push(
          text(x + cell / 2, y + cell / 2, share.toFixed(2), {
            size: Math.min(13, cell * 0.36),
            color,
            anchor: "middle",
            middle: true,
          }),
        );
      }
    }
  }
  if (named) {
    names.forEach((name, i) => {
      const short = name.length > 24 ? `${name.slice(0, 23)}…` : name;
      const centre = (i + 0.5) * cell;
      parts.push(text(left - 8, top + centre, short, { size: nameSize, anchor: "end", middle: true }));
      parts.push(
        text(left + centre, top + extent + 8, short, { size: nameSize, anchor: "end", middle: true, rotate: -90 }),
      );
    });
  }
  parts.push(text(14, top + extent / 2, "predicted", { size: 13, anchor: "middle", middle: true, rotate: -90 }));
  parts.push(text(left + extent / 2, height - 12, "true", { size: 13, anchor: "middle" }));
  return svgDocument(width, height, parts);
}

/** White to dark blue; the square root lifts small shares into sight. */
function shade(share: number): string {
  const t = Math.sqrt(share);
  const mix = (from: number, to: number) => Math.round(from + (to - from) * t);
  return `rgb(${mix(246, 8)},${mix(249, 48)},${mix(253, 107)})`;
}

const figure = (value: number | null) => (value === null || value < 0 ? "–" : value.toFixed(3));
