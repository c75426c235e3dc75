// The page around the chapters of a report.
import { createHash } from "node:crypto";
import { packageVersion } from "../../support/machine/version.js";
import { Html, html } from "./html.js";
import { styleSheet } from "./style.js";

/** What every page has near its start, and no other file has. */
export const generator = '<meta name="generator" content="rfdetr ';

/** A chapter of a page. */
export interface Chapter {
  /** The anchor that the contents lead to. */
  id: string;
  title: string;
  content: Html;
}

/** Only this style sheet, only pictures inside of the file, no scripts, nothing from anywhere else. */
const policy = (style: string): string =>
  [
    "default-src 'none'",
    "img-src data:",
    `style-src 'sha256-${createHash("sha256").update(style).digest("base64")}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join("; ");

/**
 * A whole page as one file that loads nothing.
 * @param head what stands above the contents, with the heading of the page
 */
export function page(title: string, head: Html, chapters: readonly Chapter[]): string {
  const style = styleSheet();
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy(style)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${new Html(generator)}${packageVersion()}">
<title>${title}</title>
<style>${new Html(style)}</style>
</head>
<body>
<a class="skip" href="#content">Go to the content</a>
<header>
${head}
<nav aria-label="Contents"><ul>${chapters.map(({ id, title }) => html`<li><a href="#${id}">${title}</a></li>`)}</ul></nav>
</header>
<main id="content">
${chapters.map(
  ({ id, title, content }) => html`<section aria-labelledby="${id}">
<h2 id="${id}">${title}</h2>
${content}
</section>
`,
)}</main>
<footer><p>Made by rfdetr ${packageVersion()}, ${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC. This file is complete: it loads nothing.</p></footer>
</body>
</html>
`.text;
}
