// HTML as tagged templates: whatever is put in is escaped, unless it is HTML that was made in the same way.
import { escapeXml } from "../../support/files/xml.js";

/** HTML text that needs no escaping. */
export class Html {
  constructor(readonly text: string) {}
}

/** What a template takes: text is escaped, lists are joined, null and false are left out. */
export type Part = Html | string | number | null | false | readonly Part[];

/**
 * HTML from a template. Attributes must be written in double quotes.
 * @example
 * html`<td title="${name}">${name}</td>`
 */
export function html(strings: TemplateStringsArray, ...parts: Part[]): Html {
  return new Html(strings.map((text, i) => text + (i < parts.length ? textOf(parts[i]) : "")).join(""));
}

function textOf(part: Part): string {
  if (part === null || part === false) return "";
  if (part instanceof Html) return part.text;
  return typeof part === "object" ? part.map(textOf).join("") : escapeXml(String(part));
}

/** A name that others chose, such as that of a class: its direction of writing does not reach what stands beside it. */
export const nameOf = (name: string): Html => html`<bdi>${name}</bdi>`;

/** A path, such as that of a module, which may break after each dot and slash. */
export const pathOf = (path: string): Html =>
  html`<bdi class="path">${path.split(/(?<=[./])/).map((part, i) => html`${i > 0 && html`<wbr>`}${part}`)}</bdi>`;
