// The files of the page, which are sent as they are shipped: the folder `dash` of the package, uPlot, and the places of
// labels.
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Keys } from "./guard.js";

const folder = fileURLToPath(new URL("../../../dash/", import.meta.url));
/** The rule by which `predict` places labels, as it is built: the page places its own in the same way. */
const places = fileURLToPath(new URL("../../../dist/pictures/drawing/label-places.js", import.meta.url));
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
    ["label-places.js", places],
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
