// Lines over axes, with a legend below them.
import { type Area, type Axis, drawAxes, placesIn } from "./axes.js";
import { figureWidth, fontSizes, roughWidth, shortened, text, tone } from "./figure.js";

/** A line through points; where a value is missing it is broken. */
export interface Line {
  /** Entry in the legend; none if absent. */
  label?: string;
  /** `ink` is the colour of text. */
  color: string | "ink";
  /** Stroke width in pixels. */
  width: number;
  opacity?: number;
  x: ArrayLike<number>;
  y: ArrayLike<number | null>;
  /** A point to mark with a circle. */
  mark?: readonly [x: number, y: number];
}

/** Axes and lines in an area; later lines lie above earlier ones. */
export function lineChart(area: Area, x: Axis, y: Axis, lines: readonly Line[], tickSize?: number): string[] {
  const place = placesIn(area, x, y);
  const parts = drawAxes(area, x, y, tickSize);
  for (const line of lines) {
    const stroke = line.color === "ink" ? tone("line") : `stroke="${line.color}"`;
    const dots = line.color === "ink" ? tone("ink") : `fill="${line.color}"`;
    const opacity = line.opacity === undefined ? "" : ` opacity="${line.opacity}"`;
    for (const points of unbroken(line)) {
      const at = points.map((i) => `${place.x(line.x[i])},${place.y(line.y[i] as number)}`);
      parts.push(
        at.length === 1
          ? `<circle cx="${at[0].replace(",", '" cy="')}" r="${Math.max(2, line.width)}" ${dots}${opacity}/>`
          : `<polyline points="${at.join(" ")}" fill="none" ${stroke} stroke-width="${line.width}" stroke-linejoin="round"${opacity}/>`,
      );
    }
    if (line.mark) {
      const [cx, cy] = [place.x(line.mark[0]), place.y(line.mark[1])];
      parts.push(`<circle cx="${cx}" cy="${cy}" r="5" ${tone("page")}/>`);
      parts.push(`<circle cx="${cx}" cy="${cy}" r="5" fill="none" ${stroke} stroke-width="2.5"/>`);
    }
  }
  return parts;
}

/** The runs of indices whose values are there. */
function unbroken({ x, y }: Line): number[][] {
  const runs: number[][] = [[]];
  for (let i = 0; i < x.length; i++) {
    const value = y[i];
    if (value !== null && Number.isFinite(value)) (runs.at(-1) as number[]).push(i);
    else if ((runs.at(-1) as number[]).length > 0) runs.push([]);
  }
  return runs.filter((run) => run.length > 0);
}

/** An entry of a legend: a line, or a field, and its text; `value` stands in a column of its own. */
export interface LegendEntry {
  color: string | "ink";
  label: string;
  value?: string;
}

const rowHeight = 21;
const [left, right] = [16, 16];

/**
 * A legend over the width of a figure, in two columns where its texts are short.
 * @returns the elements, and their height
 */
export function legend(top: number, entries: readonly LegendEntry[]): { parts: string[]; height: number } {
  const size = fontSizes.text;
  const widest = Math.max(0, ...entries.map(({ label, value = "" }) => roughWidth(`${label} ${value}`, size)));
  const columns = entries.length > 3 && widest < figureWidth / 2 - 50 ? 2 : 1;
  const width = (figureWidth - left - right) / columns;
  const rows = Math.ceil(entries.length / columns);
  const parts = entries.flatMap(({ color, label, value }, i) => {
    const x = left + Math.floor(i / rows) * width;
    const y = top + (i % rows) * rowHeight + rowHeight / 2;
    const stroke = color === "ink" ? tone("line") : `stroke="${color}"`;
    const end = x + width - 12;
    const room = end - x - 32 - (value === undefined ? 0 : roughWidth(value, size) + 8);
    return [
      `<path d="M${x} ${y}h22" ${stroke} stroke-width="4" fill="none"/>`,
      text(x + 30, y, shortened(label, size, room), { middle: true }),
      ...(value === undefined ? [] : [text(end, y, value, { middle: true, anchor: "end", tone: "soft" })]),
    ];
  });
  return { parts, height: rows * rowHeight };
}
