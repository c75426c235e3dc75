// Headings within a chapter of the report.
import { type Html, html, type Part } from "./html.js";

/** A part of a chapter with its heading and anchor; null where it has no content, so that no heading stands alone. */
export function subsection(title: string, ...content: readonly Part[]): Html | null {
  const there = content.filter(
    (part) => part !== null && part !== false && !(Array.isArray(part) && part.length === 0),
  );
  return there.length === 0 ? null : html`<h3 id="${anchorOf(title)}">${title}</h3>\n${there}`;
}

const anchorOf = (title: string): string =>
  title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "");
