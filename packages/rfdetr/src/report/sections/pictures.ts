// The pictures of a run, inside of the report.
import { readFileSync, statSync } from "node:fs";
import { extname, join } from "node:path";
import { formatBytes } from "@rfdetr/amp/text";
import type { PictureEntry } from "../../pictures/picture-index.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { listed } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";

/** Bytes of all pictures in a report: it stays small enough for a mail. Text takes a third more in the file. */
const budget = 6 << 20;

/** What the report draws itself, in colours that fit the page. */
const drawn: ReadonlySet<PictureEntry["kind"]> = new Set(["results", "precision-recall", "f1"]);

const types: Readonly<Record<string, string>> = { ".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml" };

/** Headings over the pictures of a kind, in the order of the index. */
const groups: Readonly<Partial<Record<PictureEntry["kind"], string>>> = {
  validation: "Truth beside prediction",
  worst: "Worst images by kind of error",
  "precision-recall": "Curves",
  f1: "Curves",
  confusion: "Which class is taken for which",
  "confusion-normalised": "Which class is taken for which",
  "train-batch": "Training batches, as the model saw them",
  labels: "Labels",
  data: "Data",
};

/** The pictures that fit, in groups; null without any. */
export function pictures({ folder, pictures, details, summary }: RunRecord): Html | null {
  const shown = new Map<string, { figures: Html[]; epochs: Set<number> }>();
  const left: string[] = [];
  let bytes = 0;
  for (const { file, kind, title, alt, width, height, epoch } of pictures) {
    if (drawn.has(kind) && (kind === "results" || details !== null)) continue;
    const content = contentOf(join(folder, "pictures", file), budget - bytes);
    if (content === null) {
      left.push(file);
      continue;
    }
    bytes += content.length;
    const source = `data:${types[extname(file)]};base64,${content.toString("base64")}`;
    const size = html`width="${Math.round(width)}" height="${Math.round(height)}"`;
    const group = groups[kind] ?? "Others";
    const picture = html`<figure><figcaption>${title}</figcaption><img src="${source}" alt="${alt}" ${size}></figure>`;
    const { figures, epochs } = shown.get(group) ?? { figures: [], epochs: new Set() };
    if (epoch !== undefined) epochs.add(epoch);
    shown.set(group, { figures: [...figures, picture], epochs });
  }
  if (shown.size === 0) return null;
  const parts = [...shown].map(([group, { figures, epochs }]) =>
    subsection(group, html`${whose([...epochs], summary?.best_epoch)}<div class="pictures">${figures}</div>`),
  );
  const why = `Left out, because pictures take ${formatBytes(budget)} of a report at most`;
  return html`${parts}${left.length > 0 && html`<p>${why}: ${listed(left)} in the folder <code>pictures</code>.</p>`}`;
}

/** Whose detections the pictures of a group show. */
function whose(epochs: readonly number[], best: number | null | undefined): Html | null {
  if (epochs.length === 0) return null;
  const weights = epochs.length === 1 && epochs[0] === best ? "best weights, those of epoch" : "weights of epoch";
  return html`<p>With the ${weights} ${listed(epochs.map(String))}.</p>`;
}

/** @returns null for a file that is larger than what is left, or cannot be read */
function contentOf(path: string, room: number): Buffer | null {
  try {
    return statSync(path).size <= room ? readFileSync(path) : null;
  } catch {
    return null;
  }
}
