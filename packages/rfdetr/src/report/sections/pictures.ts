// The pictures of a run, inside of the report.
import { readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { formatBytes } from "@rfdetr/amp/text";
import type { PictureEntry } from "../../predict/pictures/picture-index.js";
import { type Html, html } from "../html.js";
import type { RunRecord } from "../run-record.js";
import { listed } from "../words.js";

/** Bytes of all pictures in a report: it stays small enough for a mail. Text takes a third more in the file. */
const budget = 6 << 20;

/** What the report draws itself, in colours that fit the page. */
const drawn: ReadonlySet<PictureEntry["kind"]> = new Set(["results", "precision-recall", "f1"]);

const types: Readonly<Record<string, string>> = { ".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml" };

/** The pictures that fit; null without any. */
export function pictures({ folder, pictures, details }: RunRecord): Html | null {
  const wanted = pictures.filter(({ kind }) => !drawn.has(kind) || (kind !== "results" && details === null));
  const left: string[] = [];
  const shown: Html[] = [];
  let bytes = 0;
  for (const { file, title, alt, width, height } of wanted) {
    const content = contentOf(join(folder, "pictures", file), budget - bytes);
    if (content === null) {
      left.push(file);
      continue;
    }
    bytes += content.length;
    const address = `data:${types[extname(file)]};base64,${content.toString("base64")}`;
    shown.push(html`<figure><figcaption>${title}</figcaption><img src="${address}" alt="${alt}" width="${Math.round(width)}" height="${Math.round(height)}"></figure>
`);
  }
  if (shown.length === 0) return null;
  return html`<div class="pictures">${shown}</div>
${left.length > 0 && html`<p>Left out, because pictures take ${formatBytes(budget)} of a report at most: ${listed(left)} in the folder <code>pictures</code>.</p>`}`;
}

/** @returns null for a file that is larger than what is left, or cannot be read */
function contentOf(path: string, room: number): Buffer | null {
  try {
    return statSync(path).size <= room ? readFileSync(path) : null;
  } catch {
    return null;
  }
}
