// @ts-check
// Markdown to HTML, with the links of the repository turned into those of the site.
import { posix } from "node:path";
import MarkdownIt from "markdown-it";
import { anchor, urlOf } from "./pages.mjs";

/** @typedef {import("./pages.mjs").Page} Page */

/**
 * @typedef {{html: string, title: string, headings: {text: string, id: string, level: number}[], files: Set<string>}}
 * Rendered `files` of the repository that the page links or shows
 */

export const escaped = (/** @type {string} */ text) => new MarkdownIt().utils.escapeHtml(text);

/**
 * @param {Page} page
 * @param {(path: string) => string | null} find the file that a link means, from the root of the repository
 * @returns {Rendered}
 */
export function render(page, find) {
  const markdown = new MarkdownIt({ html: true });
  /** @type {Set<string>} */
  const files = new Set();
  const target = (/** @type {string} */ link) => {
    if (/^[a-z]+:|^#/.test(link)) return link;
    const [place, fragment] = link.split("#");
    const path = posix.normalize(posix.join(posix.dirname(page.path), decodeURI(place))).replace(/\/$/, "");
    const file = find(path);
    if (file === null) throw new Error(`${page.path} links to ${link}, which the site does not have`);
    files.add(file);
    const url = posix.relative(posix.dirname(page.url), urlOf(file));
    return fragment === undefined ? url : `${url}#${fragment}`;
  };
  const tokens = markdown.parse(page.text, {});
  /** @type {Rendered["headings"]} */
  const headings = [];
  for (const [i, token] of tokens.entries()) {
    if (token.type === "heading_open") {
      const text = (tokens[i + 1].children ?? []).map((child) => child.content).join("");
      headings.push({ text, id: anchor(text), level: Number(token.tag.slice(1)) });
      token.attrSet("id", anchor(text));
    }
    for (const child of token.children ?? []) {
      const name = child.type === "link_open" ? "href" : child.type === "image" ? "src" : null;
      if (name !== null) child.attrSet(name, target(String(child.attrGet(name) ?? "")));
    }
    // Pictures that are written as HTML, and comments.
    if (token.type === "html_block" || token.type === "inline")
      for (const part of [token, ...(token.children ?? [])])
        if (part.type.startsWith("html"))
          part.content = part.content
            .replace(/<!--[\s\S]*?-->/g, "")
            .replace(/src="([^"]*)"/g, (_, link) => `src="${target(link)}"`);
  }
  const html = markdown.renderer
    .render(tokens, markdown.options, {})
    .replaceAll("<table>", '<div class="wide"><table>')
    .replaceAll("</table>", "</table></div>");
  return { html, title: headings[0]?.text ?? page.path, headings, files };
}
