// What a dataset holds: classes, and the sizes, places and shapes of its boxes.
import { type Axis, linearAxis, logAxis, shortNumber } from "../../charts/axis.js";
import { type Bars, drawBars } from "../../charts/bars.js";
import type { Chart } from "../../charts/chart.js";
import { legendRow } from "../../charts/legend.js";
import { type Figure, figure, fontSizes, text } from "../../charts/svg.js";
import type { SplitBoxes } from "../../data/split-boxes.js";
import { counted } from "../../support/format.js";
import { append } from "../../support/lists.js";
import { density, histogram } from "./distributions.js";
import { figureWidth, margin as left } from "./layout.js";

/** Up to this many classes all have bars; of more, the most frequent and the rarest have. */
const mostClasses = 40;
const rarest = 12;
const width = figureWidth - 2 * left;

/** The colours of the splits, which are no classes. */
const splitColors: Readonly<Record<string, number>> = { train: 0, valid: 1, test: 2 };
const colorOf = (split: string): number => splitColors[split] ?? 3;

/** A part of a picture: elements, and how high they are. */
interface Block {
  parts: string[];
  height: number;
}

/** Boxes of each class, in each split. */
export function classCountFigure(splits: readonly SplitBoxes[], classNames: readonly string[]): Figure {
  return stacked("Boxes by class", spokenClasses(splits, classNames), splits, (top) => [
    classBlock(top, splits, classNames),
  ]);
}

/** Sizes of boxes: in pixels with the limits of COCO's small, medium and large, and width against height. */
export function boxSizeFigure(splits: readonly SplitBoxes[]): Figure {
  return stacked("Sizes of boxes", spokenSizes(splits), splits, (top) => {
    const sizes = sizeBlock(top, splits);
    return [sizes, fieldBlock(top + sizes.height, "width and height, as shares of the image", splits, "size")];
  });
}

/** Where the centres of boxes lie in their images. */
export function boxPositionFigure(splits: readonly SplitBoxes[]): Figure {
  const alt = `A field for each split (${splits.map(({ split }) => split).join(", ")}): darker where more boxes have their centres.`;
  return stacked("Positions of boxes", alt, splits, (top) => [
    fieldBlock(top, "centres, as shares of the image", splits, "position"),
  ]);
}

/** Width over height of the boxes, and the number of objects in an image. */
export function boxShapeFigure(splits: readonly SplitBoxes[]): Figure {
  const alt = `Two histograms for each split: width over height of the boxes, and the number of objects in an image. ${splits.map(spokenObjects).join(" ")}`;
  return stacked("Shapes of boxes, and objects in an image", alt, splits, (top) => {
    const aspects: Axis = { ...logAxis([1 / 8, 8], { base: 2, count: 7 }), write: ratio };
    const first = histogramBlock(top, "width : height", aspects, splits, ({ boxes }) => boxes.aspect);
    return [first, objectsBlock(top + first.height, splits)];
  });
}

/** All of that for two splits at a glance, as a run keeps it. */
export function labelsFigure(splits: readonly SplitBoxes[], classNames: readonly string[]): Figure {
  const alt = `${spokenClasses(splits, classNames)} ${spokenSizes(splits)}`;
  return stacked("Labels", alt, splits, (top) => {
    const blocks: Block[] = [classBlock(top, splits, classNames)];
    const next = (): number => top + blocks.reduce((sum, { height }) => sum + height, 0);
    blocks.push(fieldBlock(next(), "centres, as shares of the image", splits, "position"));
    blocks.push(fieldBlock(next(), "width and height, as shares of the image", splits, "size"));
    blocks.push(sizeBlock(next(), splits));
    return blocks;
  });
}

/** A figure of blocks below each other, with the splits as its legend. */
function stacked(
  title: string,
  alt: string,
  splits: readonly SplitBoxes[],
  make: (top: number) => readonly Block[],
): Figure {
  const blocks = make(64);
  const entries = splits.map(({ split, boxes }) => ({
    color: colorOf(split),
    label: `${split}, ${boxes.label.length} boxes`,
    shape: "field" as const,
  }));
  return figure({
    title,
    alt,
    width: figureWidth,
    height: 64 + blocks.reduce((sum, { height }) => sum + height, 0) + 6,
    parts: [
      text(left, 26, title, { size: fontSizes.title, weight: 600 }),
      ...legendRow(left, 44, entries),
      ...blocks.flatMap(({ parts }) => parts),
    ],
  });
}

function classBlock(top: number, splits: readonly SplitBoxes[], classNames: readonly string[]): Block {
  const counts = countsOf(splits, classNames);
  const many = counts.length > mostClasses;
  const colors = splits.map(({ split }) => colorOf(split));
  const area = { left, top: top + 28, width };
  const heading = text(left, top + 14, many ? `boxes by class: the most frequent` : "boxes by class", { weight: 600 });
  const first = drawBars(area, many ? counts.slice(0, mostClasses - rarest) : counts, colors);
  if (!many) return { parts: [heading, ...first.parts], height: first.height + 40 };
  const between = counts.length - mostClasses;
  const y = area.top + first.height;
  const second = drawBars({ ...area, top: y + 28 }, counts.slice(-rarest), colors);
  const note = text(left, y + 16, `${counted(between, "class", "classes")} between, then the rarest`, { weight: 600 });
  return { parts: [heading, ...first.parts, note, ...second.parts], height: first.height + second.height + 68 };
}

/** Boxes of each class by split, the most frequent class first. */
function countsOf(splits: readonly SplitBoxes[], classNames: readonly string[]): Bars[] {
  const values = classNames.map(() => splits.map(() => 0));
  for (const [k, { boxes }] of splits.entries()) for (const label of boxes.label) values[label][k]++;
  const total = (bars: Bars): number => bars.values.reduce((sum, each) => sum + each, 0);
  return classNames.map((name, i) => ({ name, values: values[i] })).sort((a, b) => total(b) - total(a));
}

/** A field of cells for each split, side by side. */
function fieldBlock(top: number, title: string, splits: readonly SplitBoxes[], what: "position" | "size"): Block {
  const gap = 40;
  const most = Math.min(230, (width - 30 - gap * (splits.length - 1)) / Math.max(1, splits.length));
  const share: Axis = { from: 0, to: 1, ticks: [0, 0.5, 1], write: (value) => String(value) };
  const axes = what === "position" ? { x: share, y: { ...share, from: 1, to: 0 } } : { x: share, y: share };
  const parts = [text(left, top + 14, title, { weight: 600 })];
  for (const [i, { split, boxes }] of splits.entries()) {
    const area = { left: left + 30 + i * (most + gap), top: top + 44, width: most, height: most };
    parts.push(text(area.left, top + 37, split, { size: fontSizes.tick, color: colorOf(split), weight: 600 }));
    const [x, y] =
      what === "position" ? [boxes.x, boxes.y] : [boxes.width, boxes.height.map((height) => 1 - height - 1e-6)];
    append(parts, density(area, x, y, axes));
  }
  return { parts, height: most + 44 + 36 };
}

function sizeBlock(top: number, splits: readonly SplitBoxes[]): Block {
  const axis = logAxis(
    splits.flatMap(({ boxes }) => [...boxes.side]),
    { base: 2, count: 8 },
  );
  const limits = [
    { x: 32, label: "medium" },
    { x: 96, label: "large" },
  ].filter(({ x }) => x >= axis.from && x <= axis.to * 0.8);
  const title = "side in pixels: square root of the area";
  return histogramBlock(top, title, axis, splits, ({ boxes }) => boxes.side, { limits });
}

/** Whole numbers: each has a bin about it, or several have one where they are many. */
function objectsBlock(top: number, splits: readonly SplitBoxes[]): Block {
  const most = splits.flatMap(({ objects }) => [...objects]).reduce((a, b) => Math.max(a, b), 0);
  const each = Math.ceil((most + 1) / 24);
  const bins = Math.ceil((most + 1) / each);
  const { ticks, write } = linearAxis([0, most], { count: 6, tight: true, whole: true });
  const axis: Axis = { from: -0.5, to: bins * each - 0.5, ticks: ticks.filter((tick) => tick <= most), write };
  return histogramBlock(top, "objects in an image", axis, splits, ({ objects }) => objects, { bins });
}

function histogramBlock(
  top: number,
  title: string,
  axis: Axis,
  splits: readonly SplitBoxes[],
  values: (split: SplitBoxes) => ArrayLike<number>,
  options: { bins?: number } & Pick<Chart, "limits"> = {},
): Block {
  const area = { left: left + 44, top: top + 36, width: width - 54, height: 150 };
  const series = splits.map((split) => ({ color: colorOf(split.split), values: values(split) }));
  return {
    parts: [text(left, top + 14, title, { weight: 600 }), ...histogram(area, axis, series, options)],
    height: 36 + 150 + 42,
  };
}

/** 0.25 is 1:4. */
const ratio = (value: number): string => (value < 1 ? `1:${shortNumber(1 / value)}` : `${shortNumber(value)}:1`);

function spokenClasses(splits: readonly SplitBoxes[], classNames: readonly string[]): string {
  const counts = countsOf(splits, classNames);
  const words = ({ name, values }: Bars): string => `${name} ${values.join(" and ")}`;
  const of = splits.map(({ split }) => split).join(" and ");
  return `${classNames.length} classes. Boxes in ${of}: ${counts.slice(0, 10).map(words).join("; ")}${counts.length > 10 ? "; and so on" : ""}.`;
}

function spokenSizes(splits: readonly SplitBoxes[]): string {
  return splits
    .map(({ split, boxes }) => {
      const part = (low: number, high: number): string => {
        const count = boxes.side.reduce((sum, side) => sum + (side > low && side <= high ? 1 : 0), 0);
        return `${Math.round((100 * count) / Math.max(1, boxes.side.length))} %`;
      };
      return `${split}, by width times height of the box: ${part(0, 32)} small, ${part(32, 96)} medium, ${part(96, Number.POSITIVE_INFINITY)} large.`;
    })
    .join(" ");
}

function spokenObjects({ split, objects }: SplitBoxes): string {
  const most = objects.reduce((a, b) => Math.max(a, b), 0);
  return `${split}: up to ${counted(most, "object")}, ${counted(objects.filter((count) => count === 0).length, "image")} without any.`;
}
