#!/usr/bin/env node
// @ts-check
// Writes the tables of settings into FEATURES.md, between its two marks, from the table that the program itself uses.
//
//   npm run build && node tools/generate/features.mjs           writes them
//   npm run build && node tools/generate/features.mjs --check   fails where they are out of date
import { readFileSync, writeFileSync } from "node:fs";
import { kindOf, refused, settings } from "rfdetr/settings";

const read = (path) => readFileSync(new URL(path, import.meta.url), "utf8");
const golden = JSON.parse(read("../../packages/rfdetr/src/settings/fixtures/package-settings.json"));
const fields = { ...golden.model, ...golden.segmentation, ...golden.train };
const [begin, end] = ["<!-- settings: begin -->", "<!-- settings: end -->"];
const cell = (text) => text.replaceAll("|", "\\|");
const shown = (value) => (value === undefined ? "required" : `\`${JSON.stringify(value)}\``);

/**
 * What is not as in the package, in one line.
 * @param {string} name
 * @param {import("rfdetr/settings").Setting} setting
 */
function difference(name, { fallback, about, ours, differs, without = {} }) {
  const theirs = fields[name];
  const other = theirs?.default !== undefined && JSON.stringify(theirs.default) !== JSON.stringify(fallback);
  const follows = about.includes("null takes the variant's");
  return [
    ours ? "ours" : "",
    other && !follows ? `the package's default is ${shown(theirs.default)}` : "",
    differs ?? "",
    ...Object.entries(without).map(([value, reason]) => `not ${shown(value)}: ${reason}`),
  ]
    .filter(Boolean)
    .join("; ");
}

const list = /** @type {[import("rfdetr/settings").SettingName, import("rfdetr/settings").Setting][]} */ (
  Object.entries(settings)
);
const works = list.map(
  ([name, setting]) =>
    `| \`${name}\`${setting.also ? `, \`${setting.also}\`` : ""} | ${shown(setting.fallback)} | ${cell(kindOf(name))} | ${cell(setting.about)} | ${cell(difference(name, setting))} |`,
);
const not = Object.entries(refused).map(
  ([name, { accepts, fixed, reason }]) =>
    `| \`${name}\` | ${fixed ? "the variant's" : accepts.map(shown).join(", ")} | ${cell(reason)} |`,
);
const table = [
  begin,
  `The package has ${Object.keys(fields).length} settings (\`TrainConfig\`, \`ModelConfig\`, and three of segmentation). Each is in`,
  "one of these tables, under its own name. The package's `training_config.json` is taken as `--config` as it is.",
  "`lr_scheduler_kwargs` may hold `lr_drop` and `min_factor`.",
  "",
  "### Settings that work",
  "",
  "| name | default | takes | meaning | different from the package |",
  "|---|---|---|---|---|",
  ...works,
  "",
  "### Settings of the Python package that are refused",
  "",
  "Values in the second column are accepted and change nothing, so that saved configs of the package load. Any other value",
  "is an error with this reason.",
  "",
  "| name | accepted | why it is not a setting here |",
  "|---|---|---|",
  ...not,
  end,
].join("\n");
const text = read("../../FEATURES.md");
const made = text.slice(0, text.indexOf(begin)) + table + text.slice(text.indexOf(end) + end.length);
if (!process.argv.includes("--check")) writeFileSync(new URL("../../FEATURES.md", import.meta.url), made);
else if (made !== text) {
  console.error(
    "FEATURES.md does not show the settings as they are: run npm run build && node tools/generate/features.mjs",
  );
  process.exitCode = 1;
}
