// The files of the page, which are sent as they are shipped: the folder `dash` of the package, uPlot, and built
// modules.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Keys } from "./guard.js";

const folder = fileURLToPath(new URL("../../../dash/", import.meta.url));
/** Modules as they are built: the page places labels as `predict` does, and names errors as the report does. */
const built = ["pictures/drawing/label-places.js", "eval/error-analysis/error-words.js"];
const types: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
};

/** Stands in index.html for the key of requests that change a run. */
const keyMark = "KEY-OF-THE-PAGE";

let known: Map<string, string> | null = null;

/** The paths of the files by the names under which they are asked for. */
function paths(): Map<string, string> {
  if (known !== null) return known;
  const uplot = dirname(createRequire(import.meta.url).resolve("uplot/package.json"));
  known = new Map([
    ["uplot.js", join(uplot, "dist/uPlot.esm.js")],
    ["uplot.css", join(uplot, "dist/uPlot.min.css")],
    ...built.map((name) => [basename(name), fileURLToPath(new URL(`../../../dist/${name}`, import.meta.url))] as const),
  ]);
  for (const name of readdirSync(folder))
    if (/^[\w-]+\.(html|js|css|svg)$/.test(name)) known.set(name, join(folder, name));
  return known;
}

/** A file of the page; null where there is none of the name. */
export function pageFile(name: string, keys: Keys): { body: string; type: string } | null {
  const path = paths().get(name);
  if (path === undefined) return null;
  const text = readFileSync(path, "utf8");
  const type = types[name.split(".").at(-1) ?? ""] ?? "text/plain";
  return { body: name === "index.html" ? text.replace(keyMark, keys.post) : text, type };
}
