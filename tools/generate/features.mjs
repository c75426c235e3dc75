#!/usr/bin/env node
// Writes the table of settings into FEATURES.md, between its two marks, from the table that the program itself uses.
//
//   npm run build && node tools/generate/features.mjs
import { readFileSync, writeFileSync } from "node:fs";
import { kindOf } from "../../packages/rfdetr/dist/train/config.js";
import { refused, settings } from "../../packages/rfdetr/dist/train/settings.js";

const [begin, end] = ["<!-- settings: begin -->", "<!-- settings: end -->"];
const cell = (text) => text.replaceAll("|", "\\|");
const shown = (value) => (value === undefined ? "required" : `\`${JSON.stringify(value)}\``);
const works = Object.entries(settings).map(
  ([name, { fallback, about, ours, differs }]) =>
    `| \`${name}\` | ${shown(fallback)} | ${cell(kindOf(name))} | ${cell(about)}${differs ? `; differs: ${cell(differs)}` : ""}${ours ? " (ours)" : ""} |`,
);
const not = Object.entries(refused).map(
  ([name, { accepts, reason }]) => `| \`${name}\` | ${accepts.map(shown).join(", ")} | ${cell(reason)} |`,
);
const table = [
  begin,
  "### Settings that work",
  "",
  "| name | default | takes | meaning |",
  "|---|---|---|---|",
  ...works,
  "",
  "### Settings of the Python package that are refused",
  "",
  "Values in the second column are accepted and change nothing, so that saved configs of the package load; any other is an error with this reason.",
  "",
  "| name | accepted | why it is not a setting here |",
  "|---|---|---|",
  ...not,
  end,
].join("\n");
const path = new URL("../../FEATURES.md", import.meta.url);
const text = readFileSync(path, "utf8");
writeFileSync(path, text.slice(0, text.indexOf(begin)) + table + text.slice(text.indexOf(end) + end.length));
