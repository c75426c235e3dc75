#!/usr/bin/env node
// @ts-check
// Writes the table of checks in docs/data.md, from the tables in packages/rfdetr/src/data/check. Run after `tsc -b`.
//
//   node tools/generate/data-checks.mjs           writes it
//   node tools/generate/data-checks.mjs --check   fails where it is out of date
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMain, root } from "../check/repository.mjs";

const page = join(root, "docs/data.md");
const begin = /<!-- checks:[^>]*-->\n/;
const end = "<!-- end of checks -->";

/** The table. */
async function table() {
  const folder = join(root, "packages/rfdetr/dist/data/check");
  const { checks } = await import(join(folder, "checks.js"));
  const { qualityChecks } = await import(join(folder, "quality.js"));
  /** @type {[string, string, string][]} */
  const rows = checks.map((/** @type {{name: string, training: string, valid?: string, about: string}} */ check) => {
    const { name, training, valid = training, about } = check;
    return [name, valid === training ? training : `${training}; in valid ${valid}`, about];
  });
  for (const [name, about] of Object.entries(qualityChecks)) rows.push([name, "kept", String(about)]);
  return [
    "| finding | training | what it is, and what to do |",
    "|---|---|---|",
    ...rows.map((row) => `| ${row.join(" | ")} |`),
  ].join("\n");
}

/** The page with its table made anew. */
export async function dataPage() {
  const text = readFileSync(page, "utf8");
  const start = text.match(begin);
  if (start?.index === undefined) throw new Error(`Expected the comment that begins the table in ${page}`);
  const from = start.index + start[0].length;
  return `${text.slice(0, from)}${await table()}\n${text.slice(text.indexOf(end))}`;
}

if (isMain(import.meta.url)) {
  const content = await dataPage();
  if (!process.argv.includes("--check")) writeFileSync(page, content);
  else if (readFileSync(page, "utf8") !== content) {
    console.error("docs/data.md is out of date: run node tools/generate/data-checks.mjs");
    process.exit(1);
  }
}
