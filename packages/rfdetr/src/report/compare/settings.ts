// The settings of several runs that are not the same.

import { changesInWords, precisionChanges } from "../../settings/precision-changes.js";
import { type Html, html, nameOf, type Part, pathOf } from "../html/html.js";
import { type Column, table } from "../html/table.js";
import type { Compared } from "./classes.js";
import { differingSettings } from "./facts.js";

/** A table of them, or a sentence where there are none; null where a run has no record of its settings. */
export function settings({ runs, names }: Compared): Html | null {
  const rows = differingSettings(runs);
  if (rows.length === 0)
    return runs.every(({ config }) => config !== null) ? html`<p>All settings are the same.</p>` : null;
  type Row = (typeof rows)[number];
  const text = (name: string, value: unknown): Part => {
    if (value === undefined) return "–";
    const changes = name === "precision_changes" ? precisionChanges.safeParse(value).data : undefined;
    if (changes !== undefined) return pathOf(changesInWords(changes));
    return pathOf(typeof value === "string" ? value : JSON.stringify(value));
  };
  return table(
    "Settings, versions and hardware that are not the same in all runs",
    [
      { title: "setting", cell: ({ name }: Row) => html`<code>${name}</code>` },
      ...names.map(
        (name, i): Column<Row> => ({ title: nameOf(name), cell: ({ name, values }) => text(name, values[i]) }),
      ),
    ],
    rows,
  );
}
