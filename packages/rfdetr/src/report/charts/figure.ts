// A figure of the report: a chart with its caption, its legend, and its numbers as a table.
import { type Html, html, type Part } from "../html/html.js";
import { table } from "../html/table.js";

/** The size of every chart, in its own units: as wide as a column of the page, legible on a phone. */
export const chartSize = { width: 440, height: 290 } as const;

/** Dashes of the series: they tell them apart without colour. */
const dashes = ["", "7 4", "2 3", "10 3 2 3", "4 2", "1 2", "12 4", "6 2 1 2"] as const;

/** Attributes of the line of a series, by its place. */
export const lineOf = (series: number): Html => {
  const dash = dashes[series % dashes.length];
  return dash === "" ? html`class="line s${series % 8}"` : html`class="line s${series % 8}" stroke-dasharray="${dash}"`;
};

/** An entry of a legend. */
export interface LegendEntry {
  name: Part;
  /** The place of the series. */
  series: number;
  /** How it is drawn; default a line. */
  shape?: "line" | "band" | "mark";
}

/** What charts look like, in words and samples. */
function legend(entries: readonly LegendEntry[]): Html {
  return html`<ul class="legend">${entries.map(({ name, series, shape = "line" }) => html`<li>${sample(series, shape)}<span>${name}</span></li>`)}</ul>`;
}

function sample(series: number, shape: NonNullable<LegendEntry["shape"]>): Html {
  const inner =
    shape === "line"
      ? html`<path d="M1 7H27" ${lineOf(series)}/>`
      : shape === "band"
        ? html`<rect x="1" y="1" width="26" height="12" class="band f${series % 8}"/>`
        : html`<path d="M14 2l5 10h-10z" class="mark"/>`;
  return html`<svg viewBox="0 0 28 14" aria-hidden="true">${inner}</svg>`;
}

/** Coordinates with one decimal are as exact as a screen. */
export const round = (value: number): number => Math.round(value * 10) / 10;

/**
 * A figure.
 * @param title what is shown, in a few words
 * @param about how to read it, in a sentence
 * @param rows the numbers of the chart
 */
export function figure<Row>(options: {
  title: string;
  about?: Part;
  chart: Html;
  legend?: readonly LegendEntry[];
  columns: Parameters<typeof table<Row>>[1];
  rows: readonly Row[];
}): Html {
  const { title, about = null, chart, columns, rows } = options;
  const thinned = thin(rows, 16);
  const caption = thinned.length < rows.length ? `${title}: ${thinned.length} of ${rows.length} rows` : title;
  return html`<figure>
<figcaption>${title}${about !== null && html`<span>${about}</span>`}</figcaption>
${chart}
${options.legend !== undefined && options.legend.length > 0 && legend(options.legend)}
<details class="data"><summary>Numbers of this figure</summary>
${table(caption, columns, thinned)}
</details>
</figure>
`;
}

/** At most so many entries, evenly, the first and the last among them. */
export function thin<T>(entries: readonly T[], most: number): T[] {
  if (entries.length <= most) return [...entries];
  return Array.from({ length: most }, (_, i) => entries[Math.round((i * (entries.length - 1)) / (most - 1))]);
}
