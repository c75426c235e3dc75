// Which class is taken for which, as a field of cells.
import { type Figure, figure, fontSizes, roughWidth, round, shortened, text, tone } from "../../charts/svg.js";
import { escapeXml } from "../../support/files/xml.js";
import { append, largestOf } from "../../support/lists.js";
import { confusionScores, type EvaluationDetails, mainDetails } from "../details/evaluation-details.js";
import { figureWidth, heading } from "./layout.js";

/** Up to this many rows have their names; of more, the pairs that are confused most are written out only. */
const mostNamed = 40;
/** Pairs that are written out. */
const mostPairs = 8;
const top = 64;

/**
 * Confusion matrix: columns are the true classes, rows the predicted ones, the last of each is the background. Darker
 * is more; each cell has a tooltip, and the most frequent confusions are written out below. It is of masks where these
 * were evaluated.
 * @param options.normalised whether cells show shares of their true class; default: they show counts
 * @example
 * import { readFileSync } from "node:fs";
 * import { confusionFigure } from "rfdetr/eval";
 * const details = JSON.parse(readFileSync("runs/birds/evaluation.json", "utf8"));
 * const { svg } = confusionFigure(details, { normalised: true });
 */
export function confusionFigure(
  details: Pick<EvaluationDetails, "confusion" | "per_class" | "best_threshold" | "masks"> &
    Partial<Pick<EvaluationDetails, "origin">>,
  { normalised = false }: { normalised?: boolean } = {},
): Figure {
  const main = mainDetails(details);
  const { confusion, per_class } = main;
  const whose = details.masks === undefined ? "" : " of masks";
  const names = [...per_class.map(({ class_name }) => class_name), "background"];
  const size = names.length;
  const labelled = size <= mostNamed;
  const nameSize = size <= 12 ? fontSizes.tick : Math.max(9, 13 - (size - 12) * 0.2);
  const margin = labelled ? Math.min(130, largestOf(names.map((name) => roughWidth(name, nameSize)))) + 10 : 8;
  const left = 32 + margin;
  const cell = Math.min(72, (figureWidth - left - 16) / size);
  const extent = cell * size;
  const cells = shares(confusion, names);
  const strongest = largestOf(
    cells.map(({ count }) => count),
    1,
  );
  const pairs = confusedMost(cells, size - 1);

  const scores = confusionScores(main, details.origin?.split);
  const title = `Confusion matrix${normalised ? ", shares of each true class" : ", counts"}`;
  const parts = [
    ...heading(title, `${scores}; IoU${whose} above ${confusion.iou}`),
    `<rect x="${round(left)}" y="${top}" width="${round(extent)}" height="${round(extent)}" ${tone("faint")}/>`,
  ];
  for (const each of cells) {
    const part = normalised ? each.share : each.count / strongest;
    const content = normalised ? each.share.toFixed(2) : String(each.count);
    const [x, y] = [left + each.column * cell, top + each.row * cell];
    const tip = `predicted ${each.predicted}, true ${each.truth}: ${each.count} (${(each.share * 100).toFixed(1)} %)`;
    const gap = cell > 12 ? 0.5 : 0;
    parts.push(
      `<rect x="${round(x + gap)}" y="${round(y + gap)}" width="${round(cell - 2 * gap)}" height="${round(cell - 2 * gap)}" ${tone("fill")} fill-opacity="${shade(part)}"><title>${escapeXml(tip)}</title></rect>`,
    );
    const written = Math.min(fontSizes.text, (cell - 4) / Math.max(2, content.length * 0.6));
    if (written >= 9 && (!normalised || each.share >= 0.005)) {
      const on = shade(part) > 0.6 ? "page" : "ink";
      parts.push(
        text(x + cell / 2, y + cell / 2, content, { size: written, tone: on, anchor: "middle", middle: true }),
      );
    }
  }
  if (labelled) append(parts, nameRows(names, { left, margin, cell, extent, nameSize }));
  const below = top + extent + (labelled ? margin : 8);
  parts.push(text(16, top + extent / 2, "predicted", { anchor: "middle", middle: true, rotate: -90, tone: "soft" }));
  parts.push(text(left + extent / 2, below + 18, "true", { anchor: "middle", tone: "soft" }));
  append(parts, pairRows(pairs, below + 50));
  const sentences = pairs.map(
    ({ predicted, truth, count, share }) =>
      `${truth} taken for ${predicted}: ${timesOf(count)} (${(share * 100).toFixed(0)} %)`,
  );
  const alt = `A matrix of ${size - 1} classes and the background: rows are predicted, columns true. ${
    sentences.length === 0 ? "No class is taken for another." : `Confused most: ${sentences.join("; ")}.`
  }`;
  const height = below + (sentences.length === 0 ? 34 : 66 + sentences.length * 20);
  return figure({ title, alt, width: figureWidth, height, parts });
}

interface Cell {
  row: number;
  column: number;
  predicted: string;
  truth: string;
  count: number;
  /** Of the true class; of the background's column, of all detections without an object. */
  share: number;
}

function shares({ cells }: EvaluationDetails["confusion"], names: readonly string[]): Cell[] {
  const totals = new Float64Array(names.length);
  for (const [, column, count] of cells) totals[column] += count;
  return cells.map(([row, column, count]) => ({
    row,
    column,
    predicted: names[row],
    truth: names[column],
    count,
    share: count / totals[column],
  }));
}

/** The pairs of two classes with the largest counts. */
const confusedMost = (cells: readonly Cell[], background: number): Cell[] =>
  cells
    .filter(({ row, column }) => row !== column && row !== background && column !== background)
    .sort((a, b) => b.count - a.count)
    .slice(0, mostPairs);

const timesOf = (count: number): string => (count === 1 ? "once" : `${count} times`);

/** The pairs, one a line, with their counts in a column. */
function pairRows(pairs: readonly Cell[], top: number): string[] {
  if (pairs.length === 0) return [];
  const most = (figureWidth - 32 - 200) / 2;
  return [
    text(16, top, "Confused most", { weight: 600 }),
    ...pairs.flatMap(({ truth, predicted, count, share }, i) => {
      const [one, other] = [truth, predicted].map((name) => shortened(name, fontSizes.text, most));
      const y = top + 22 + i * 20;
      const times = `${timesOf(count)}, ${(share * 100).toFixed(0)} %`;
      return [
        text(16, y, `${one} taken for ${other}`),
        text(figureWidth - 16, y, times, { anchor: "end", tone: "soft" }),
      ];
    }),
  ];
}

function nameRows(
  names: readonly string[],
  at: { left: number; margin: number; cell: number; extent: number; nameSize: number },
): string[] {
  const { left, margin, cell, extent, nameSize: size } = at;
  return names.flatMap((name, i) => {
    const short = shortened(name, size, margin - 10);
    const centre = (i + 0.5) * cell;
    return [
      text(left - 7, top + centre, short, { size, anchor: "end", middle: true }),
      text(left + centre, top + extent + 8, short, { size, anchor: "end", middle: true, rotate: -90 }),
    ];
  });
}

/** How opaque the cell of a share is; the square root lifts small shares into sight. */
const shade = (share: number): number => round(Math.sqrt(share));
