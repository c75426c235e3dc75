// Bars with their names and values beside them: they need no legend.
import { type Html, html } from "../html/html.js";
import { chartSize, round } from "./figure.js";

/** A bar. */
export interface Bar {
  name: string;
  /** What its length shows; 0 or more. */
  value: number;
  /** The value in words. */
  label: string;
}

const [names, values, line] = [146, 122, 26];

/** Draws the bars from the top, with a line at their foot that names what their lengths are. */
export function barChart(alt: string, xLabel: string, bars: readonly Bar[]): Html {
  const { width } = chartSize;
  const most = Math.max(...bars.map(({ value }) => value), Number.MIN_VALUE);
  const room = width - names - values;
  const height = bars.length * line + 24;
  return html`<svg class="chart" viewBox="0 0 ${width} ${height}" role="img" aria-label="${alt}">
<path class="axis" fill="none" d="M${names} 0V${bars.length * line}"/>
${bars.map(({ name, value, label }, i) => {
  const length = round((room * value) / most);
  return html`<text class="value" x="${names - 8}" y="${i * line + 17}" text-anchor="end">${short(name)}</text><rect x="${names}" y="${i * line + 4}" width="${length}" height="${line - 8}" class="f0"/><text x="${names + length + 6}" y="${i * line + 17}">${label}</text>`;
})}
<text x="${names}" y="${height - 6}">${xLabel}</text>
</svg>`;
}

const short = (name: string): string => (name.length > 21 ? `${name.slice(0, 20)}…` : name);
