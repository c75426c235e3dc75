// @ts-check
// The frame of a page: navigation beside it, or above it on a phone. It loads nothing from elsewhere.
import { posix } from "node:path";
import { escaped } from "./render.mjs";

/** @typedef {import("./render.mjs").Rendered} Rendered */

/**
 * @param {{url: string, title: string, html: string, headings: Rendered["headings"]}} page
 * @param {readonly {title: string, pages: {url: string, title: string}[]}[]} navigation
 */
export function layout(page, navigation) {
  const to = (/** @type {string} */ url) => posix.relative(posix.dirname(page.url), url);
  const top = to("index.html").replace(/index\.html$/, "");
  const groups = navigation.map(({ title, pages }) => {
    const items = pages.map(({ url, title }) => {
      const here = url === page.url ? ' aria-current="page"' : "";
      return `<li><a href="${to(url)}"${here}>${escaped(title)}</a></li>`;
    });
    return `<h2>${escaped(title)}</h2>\n<ul>${items.join("\n")}</ul>`;
  });
  const parts = page.headings.filter(({ level }) => level === 2);
  const inside =
    parts.length < 3
      ? ""
      : `<nav class="inside" aria-label="On this page"><h2>On this page</h2><ul>${parts
          .map(({ text, id }) => `<li><a href="#${id}">${escaped(text)}</a></li>`)
          .join("\n")}</ul></nav>`;
  const name = page.url === "index.html" ? page.title : `${page.title} · RF-DETR in TypeScript`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>${escaped(name)}</title>
<link rel="stylesheet" href="${to("style.css")}">
</head>
<body>
<a class="skip" href="#content">Skip to the text</a>
<header>
<a class="home" href="${to("index.html")}">RF-DETR in TypeScript</a>
<search>
<input type="search" hidden placeholder="Search" aria-label="Search the pages" data-top="${top}"><ol></ol>
</search>
<details><summary>Pages</summary><nav aria-label="All pages">${groups.join("\n")}</nav></details>
</header>
<main id="content">
${page.html}
</main>
${inside}
<script src="${to("entries.js")}"></script>
<script src="${to("site.js")}"></script>
</body>
</html>
`;
}
