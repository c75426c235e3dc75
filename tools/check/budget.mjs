#!/usr/bin/env node
// @ts-check
// Counts the hand-written lines of code and holds the limits: the core, a file, a function, a line. Comments and blank
// lines do not count: a docstring must not cost code, nor code a docstring. In code, text in quotes does not make a
// line too long: a message stays on one line, so that it is found when somebody searches for it.
//
//   node tools/check/budget.mjs     prints a table, then one line for each breach
import { functions } from "./functions.mjs";
import { isMain, isTest, report, written } from "./repository.mjs";

export const limits = { core: 16_200, file: 300, function: 80, line: 120 };

/**
 * What may be longer, by name. An entry that is no longer needed is a breach itself. `file` is the end of a path; a
 * function has a `name`; a line is one that contains `text`.
 * @typedef {"file" | "function" | "line"} Limit
 * @typedef {{limit: Limit, file: string, name?: string, text?: string, reason: string}} Exception
 * @type {Exception[]}
 */
export const exceptions = [
  {
    limit: "file",
    file: "bench/precision.mjs",
    reason: "the tables of one page, docs/precision-measured.md, one function a table",
  },
  { limit: "function", file: "bench/precision.mjs", name: "overhead", reason: "one table: a list of cases" },
  { limit: "function", file: "bench/precision.mjs", name: "ablation", reason: "one table: a list of cases" },
];

const core = [
  "packages/torch/src",
  "packages/torch/native",
  "packages/amp/src",
  "packages/rfdetr/src/model",
  "packages/rfdetr/src/loss",
];
const others = ["packages/rfdetr", "packages/torch", "packages", "tools", "bench", "examples"];

/** @typedef {import("./repository.mjs").File} File */
/** @typedef {{part: string, files: number, lines: number, longest: File}} Row */

/** Lines of code: neither blank nor comment. @param {File} file */
function count(file) {
  const marks = file.path.endsWith(".py") ? /^\s*(#|$)/ : /^\s*(\/\/|$)/;
  const text = file.path.endsWith(".py") ? file.text : file.text.replace(/^\s*\/\*[\s\S]*?\*\/[ \t]*$/gm, "");
  return text.split("\n").filter((line) => !marks.test(line)).length;
}

/**
 * Columns of a line. In code, long texts in quotes and long regular expressions are taken as short; in comments, only
 * addresses and what stands in braces (types, links) are.
 * @param {string} line
 */
const columnsOf = (line) =>
  [
    ...(/^\s*(\/?\*|\/\/|#)/.test(line)
      ? line.replace(/https?:\S+|\{.*\}/g, "…")
      : line.replace(/(["'`])(?:(?!\1)[^\\]|\\.){40,}(\1|$)|\/(?![*/])(?:[^/\\]|\\.){40,}\//g, '"…"')),
  ].length;
const isCode = (/** @type {File} */ file) => /\.(ts|mjs|js|cc|h|py)$/.test(file.path);

/** @param {File[]} files @returns {Row[]} each file counts for the first part that holds it */
export function table(files) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  for (const file of files.filter((file) => isCode(file) && !isTest(file.path))) {
    const part = [...core, ...others].find((part) => file.path.startsWith(`${part}/`)) ?? "the root";
    const row = rows.get(part) ?? { part, files: 0, lines: 0, longest: file };
    row.files++;
    row.lines += count(file);
    if (count(file) > count(row.longest)) row.longest = file;
    rows.set(part, row);
  }
  return [...rows.values()].sort((a, b) => [...core, ...others].indexOf(a.part) - [...core, ...others].indexOf(b.part));
}

export const coreLines = (/** @type {Row[]} */ rows) =>
  rows.filter((row) => core.includes(row.part)).reduce((sum, row) => sum + row.lines, 0);

/** @param {string} text @returns {{line: string, number: number}[]} lines of prose: no code, tables or headings */
function prose(text) {
  let fenced = false;
  return text.split("\n").flatMap((line, i) => {
    if (/^\s*(```|~~~)/.test(line)) fenced = !fenced;
    if (fenced || /^\s*(\||#|<|!\[)/.test(line)) return [];
    return [{ line: line.replace(/\]\([^)]*\)/g, "]"), number: i + 1 }];
  });
}

/**
 * @param {File[]} files
 * @param {Exception[]} [allowed]
 * @returns {string[]}
 */
export function breaches(files, allowed = exceptions) {
  /** @type {Set<Exception>} */
  const used = new Set();
  /** @type {string[]} */
  const found = [];
  const add = (
    /** @type {File} */ file,
    /** @type {number} */ line,
    /** @type {Limit} */ limit,
    what = "",
    size = 0,
  ) => {
    const exception = allowed.find(
      (e) =>
        e.limit === limit &&
        file.path.endsWith(e.file) &&
        (limit === "line" ? what.includes(e.text ?? "") : (e.name ?? what) === what),
    );
    if (exception) used.add(exception);
    else {
      const subject = limit === "function" ? `function ${what}` : limit;
      found.push(`${file.path}:${line}: ${subject} of ${size}, at most ${limits[limit]}`);
    }
  };
  for (const file of files) {
    const lines = file.path.endsWith(".md")
      ? prose(file.text)
      : file.text.split("\n").map((line, i) => ({ line, number: i + 1 }));
    for (const { line, number } of lines) {
      const columns = file.path.endsWith(".md") ? [...line].length : columnsOf(line);
      if (columns > limits.line) add(file, number, "line", line, columns);
    }
    if (!isCode(file) || isTest(file.path)) continue;
    if (count(file) > limits.file) add(file, 1, "file", "", count(file));
    for (const { name, line, lines } of functions(file))
      if (lines > limits.function) add(file, line, "function", name, lines);
  }
  for (const { limit, file, name, text } of allowed.filter((exception) => !used.has(exception))) {
    const exception = [limit, file, name ?? text].filter(Boolean).join(" ");
    found.push(`tools/check/budget.mjs: the exception ${exception} is no longer needed`);
  }
  const total = coreLines(table(files));
  if (total > limits.core) found.push(`core: ${total} lines, at most ${limits.core}`);
  return found;
}

if (isMain(import.meta.url)) {
  const files = written(/\.(ts|mjs|js|cc|h|py|md)$/).filter((file) => file.path !== "docs/api.md"); // generated
  const rows = table(files);
  const width = Math.max(...rows.map((row) => row.part.length));
  const line = (/** @type {(string | number)[]} */ ...[part, files, lines, longest]) =>
    console.log(
      `${String(part).padEnd(width)}  ${String(files).padStart(5)}  ${String(lines).padStart(6)}  ${longest}`,
    );
  line("part", "files", "lines", "longest file");
  for (const { part, files, lines, longest } of rows)
    line(part, files, lines, `${count(longest)} ${longest.path.replace(`${part}/`, "")}`);
  console.log(`core: ${coreLines(rows)} of ${limits.core} lines\n`);
  report("budget", breaches(files));
}
