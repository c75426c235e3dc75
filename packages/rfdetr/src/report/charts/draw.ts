// Charts in the report: as wide as a column of the page, legible on a phone.
import type { Axis } from "../../charts/axis.js";
import { type Bars, drawBars } from "../../charts/bars.js";
import { type Area, axesOf, type Chart, drawChart, type Line, roomOf, type Scales } from "../../charts/chart.js";
import { Html, html } from "../html/html.js";

/** The size of every chart, in its own units. */
export const chartSize = { width: 440, height: 290 } as const;

/** Elements as a chart of the page. @param alt what can be seen, in a sentence, for those who cannot see it */
export const inlineSvg = (alt: string, height: number, parts: readonly string[]): Html =>
  html`<svg class="chart" viewBox="0 0 ${chartSize.width} ${height}" role="img" aria-label="${alt}">
${new Html(parts.join("\n"))}
</svg>`;

/** Where the lines of a chart lie: right of its numbers, and at the same place where these are short. */
export function areaOf(y: Axis, height: number = chartSize.height): Area {
  const left = Math.max(64, roomOf(y));
  return { left, top: 12, width: chartSize.width - left - 14, height: height - 12 - 46 };
}

/** Draws lines; null where there is nothing to draw. */
export function lineChart(
  options: { alt: string; lines: readonly Line[] } & Scales & Pick<Chart, "marks" | "limits">,
): Html | null {
  const { alt, lines, marks, limits = [], include = [] } = options;
  const axes = axesOf(lines, { ...options, include: [...include, ...limits.flatMap(({ y }) => y ?? [])] });
  return axes && inlineSvg(alt, chartSize.height, drawChart(areaOf(axes.y), { ...axes, lines, marks, limits }));
}

/** Draws bars from the top, with a line at their foot that names what their lengths are. */
export function barChart(alt: string, xLabel: string, bars: readonly Bars[]): Html {
  const { parts, height } = drawBars({ left: 0, top: 0, width: chartSize.width }, bars, [0], xLabel);
  return inlineSvg(alt, height, parts);
}
