// A figure of the report: a chart with its caption, its legend, and its numbers as a table.
import { type Shape, sample } from "../../charts/legend.js";
import { Html, html, type Part } from "../html/html.js";
import { table } from "../html/table.js";

/** An entry of a legend. */
export interface LegendEntry {
  name: Part;
  /** The place of the series. */
  series: number;
  /** How it is drawn; default a line. */
  shape?: Shape;
}

/** What charts look like, in words and samples. */
const legend = (entries: readonly LegendEntry[]): Html =>
  html`<ul class="legend">${entries.map(({ name, series, shape }) => html`<li><svg viewBox="0 0 28 14" aria-hidden="true">${new Html(sample(1, 7, 26, series, shape))}</svg><span>${name}</span></li>`)}</ul>`;

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
