// @ts-check
// Panels with lines, side by side in one picture: for the figures of benchmarks.
import { charts } from "rfdetr/eval";

/**
 * A line with its points; those that share a colour are named once.
 * @typedef {{label?: string, color: number, width?: number, dash?: string, points: [number, number][], dots?:
 * boolean}} Line
 * @typedef {{title: string, xLabel: string, yLabel: string, lines: Line[], include?: number[], scale?: "log2",
 * counts?: boolean, xTicks?: [x: number, label: string][]}} Panel
 */

const [width, height, gap, left, top] = [420, 300, 90, 70, 70];

/** @param {Panel} panel @param {number} place */
function drawPanel({ title, lines, xTicks, ...scales }, place) {
  const area = { left: left + place * (width + gap), top, width, height };
  const drawn = lines.map(({ points, dash = "", label: _, ...look }) => ({
    ...{ width: 1.5, dash, ...look },
    x: points.map(([x]) => x),
    y: points.map(([, y]) => y),
  }));
  const axes = charts.axesOf(drawn, scales);
  if (axes === null) throw new Error(`Expected points for ${title} but received none`);
  const names = new Map(xTicks);
  if (xTicks !== undefined) {
    axes.x.ticks = [...names.keys()];
    axes.x.write = (x) => names.get(x) ?? "";
  }
  const entries = lines.flatMap(({ label, color }) =>
    label === undefined ? [] : [{ label, color, shape: /** @type {const} */ ("field") }],
  );
  return [
    charts.text(area.left, top - 42, title, { size: 15, weight: 600 }),
    ...charts.legendRow(area.left, top - 20, entries),
    ...charts.drawChart(area, { ...axes, lines: drawn, size: 12 }),
  ];
}

/** A picture of panels; `alt` says what is to be seen. @param {Panel[]} panels @param {string} alt */
export function figure(panels, alt) {
  const title = panels.map((panel) => panel.title).join("; ");
  const size = { width: left + panels.length * (width + gap) - gap + 30, height: top + height + 55 };
  return charts.figure({ ...size, title, alt, parts: panels.flatMap(drawPanel) }).svg;
}
