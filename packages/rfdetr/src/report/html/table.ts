// Tables of a report.
import { type Html, html, type Part } from "./html.js";

/** A column of a table. */
export interface Column<Row> {
  title: Part;
  /** Numbers stand to the right. */
  number?: boolean;
  cell: (row: Row) => Part;
}

/**
 * A table whose first column names its rows. It scrolls sideways where the screen is narrow.
 * @param caption what the table shows
 */
export function table<Row>(caption: Part, columns: readonly Column<Row>[], rows: readonly Row[]): Html {
  const classOf = ({ number }: Column<Row>): Html | null => (number === true ? html` class="n"` : null);
  // A region that scrolls must be reachable by keyboard.
  return html`<div class="scroll" tabindex="0" role="group" aria-label="Table"><table>
<caption>${caption}</caption>
<thead><tr>${columns.map((column) => html`<th scope="col"${classOf(column)}>${column.title}</th>`)}</tr></thead>
<tbody>${rows.map(
    (row) =>
      html`<tr>${columns.map((column, i) =>
        i === 0
          ? html`<th scope="row"${classOf(column)}>${column.cell(row)}</th>`
          : html`<td${classOf(column)}>${column.cell(row)}</td>`,
      )}</tr>
`,
  )}</tbody>
</table></div>`;
}

/** Terms and what they are; entries without a value are left out. */
export function definitions(entries: readonly (readonly [term: string, value: Part])[]): Html {
  return html`<dl>${entries
    .filter(([, value]) => value !== null && value !== "")
    .map(([term, value]) => html`<dt>${term}</dt><dd>${value}</dd>`)}</dl>`;
}
