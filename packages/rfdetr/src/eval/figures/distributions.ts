// How values are distributed: histograms as lines, and fields of cells.
import { type Axis, linearAxis, placeOn } from "../../charts/axis.js";
import { type Area, type Chart, drawChart, type Line } from "../../charts/chart.js";
import { type Color, round, tone } from "../../charts/svg.js";
import { largestOf } from "../../support/lists.js";

/** A histogram of each series as a line of shares, over bins that are even on the axis. */
export function histogram(
  area: Area,
  x: Axis,
  series: readonly { color: Color; values: ArrayLike<number> }[],
  { bins = 24, limits = [] }: { bins?: number } & Pick<Chart, "limits"> = {},
): string[] {
  const [scale, back] = x.log ? [Math.log, Math.exp] : [Number, Number];
  const [from, to] = [scale(x.from), scale(x.to)];
  const edges = Array.from({ length: bins + 1 }, (_, i) => back(from + ((to - from) * i) / bins));
  const lines = series
    .filter(({ values }) => values.length > 0)
    .map(({ color, values }): Line => {
      const shares = new Float64Array(bins + 1);
      for (let i = 0; i < values.length; i++)
        shares[Math.min(bins - 1, Math.floor((placeOn(x, values[i]) || 0) * bins))] += 1 / values.length;
      // Each bin is a level from edge to edge.
      shares[bins] = shares[bins - 1];
      return { color, dash: "", steps: true, x: edges, y: shares };
    });
  const y = linearAxis([0, ...lines.flatMap((line) => Array.from(line.y, Number))]);
  const percent: Axis = { ...y, write: (share) => `${Number((share * 100).toPrecision(3))} %` };
  return drawChart(area, { x, y: percent, lines, limits, size: 12 });
}

/**
 * How often points fall into the cells of a field; darker is more.
 * @param x values on 0 to 1, also `y`, which grows downwards
 */
export function density(
  area: Area,
  x: Float32Array,
  y: Float32Array,
  axes: { x: Axis; y: Axis },
  cells = 24,
): string[] {
  const counts = new Int32Array(cells * cells);
  const cell = (value: number): number => Math.min(cells - 1, Math.max(0, Math.floor(value * cells)));
  for (let i = 0; i < x.length; i++) counts[cell(y[i]) * cells + cell(x[i])]++;
  const most = largestOf(counts, 1);
  const [w, h] = [area.width / cells, area.height / cells];
  const drawn: string[] = [];
  counts.forEach((count, i) => {
    if (count === 0) return;
    const at = `x="${round(area.left + (i % cells) * w)}" y="${round(area.top + Math.floor(i / cells) * h)}"`;
    const opacity = round(0.08 + 0.92 * Math.sqrt(count / most));
    drawn.push(`<rect ${at} width="${round(w)}" height="${round(h)}" fill-opacity="${opacity}"/>`);
  });
  const ground = [
    `<rect x="${area.left}" y="${area.top}" width="${area.width}" height="${area.height}" ${tone("faint")}/>`,
    `<g ${tone("fill")} shape-rendering="crispEdges">${drawn.join("")}</g>`,
  ];
  return drawChart(area, { ...axes, lines: [], ground, size: 12 });
}
