#!/usr/bin/env node
// @ts-check
// Writes docs/errors.md: every code of an error, from the classes and their docstrings.
//
//   node tools/generate/errors.mjs           writes it
//   node tools/generate/errors.mjs --check   fails where it is out of date
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMain, isTest, read, root, written } from "../check/repository.mjs";

/** @typedef {{code: string, name: string, when: string, remedy: string}} Row */
/** @typedef {import("../check/repository.mjs").File} File */

const packages = /** @type {const} */ ([
  ["rfdetr", "rfdetr", "RfdetrError"],
  ["amp", "@rfdetr/amp", "AmpError"],
  ["torch", "@rfdetr/torch", "TorchError"],
]);

/** @param {string} text `When it is thrown. What to do: do this.` */
function sentences(text) {
  const [when, remedy = ""] = text.split(/What to do: /).map((part) => part.trim());
  const begin = remedy.charAt(0).toUpperCase() + remedy.slice(1);
  return { when, remedy: begin };
}

/**
 * The rows of a package's classes, in the order of their files.
 * @param {File[]} files
 * @returns {Row[]}
 * @throws {Error} where a class has no code, or its docstring does not say what to do
 */
export function rowsOf(files) {
  /** @type {Map<string, string>} */
  const codes = new Map();
  return files.flatMap(({ path, text }) =>
    [
      ...text.matchAll(/\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport class (\w+Error) extends (\w+Error) \{([\s\S]*?\n)\}/g),
    ].flatMap(([, comment, name, parent, body]) => {
      const lines = comment.split("\n").map((line) => line.replace(/^\s*\* ?/, "").trim());
      const [main, ...listed] = lines.join(" ").split(/ - (?=`ERR_)/);
      const said = main.split(/ @\w/)[0];
      const own = /(?:code = |super\(\s*)"(ERR_\w+)"/.exec(body)?.[1] ?? codes.get(parent);
      if (own !== undefined) codes.set(name, own);
      const rows = listed.map((item) => {
        const [, code, rest] = /** @type {RegExpExecArray} */ (/^`(ERR_\w+)`: ([\s\S]*)$/.exec(item));
        return { code, name, ...sentences(rest) };
      });
      const found = rows.length > 0 || own === undefined ? rows : [{ code: own, name, ...sentences(said) }];
      if (found.length === 0) throw new Error(`Expected a code of ${name} in ${path} but found none`);
      const silent = found.find(({ remedy }) => remedy === "");
      if (silent)
        throw new Error(
          `Expected "What to do: …" in the docstring of ${name} (${silent.code}) in ${path} but found none`,
        );
      return found;
    }),
  );
}

/** @param {Row[]} rows @param {ReadonlySet<string>} usage */
function table(rows, usage) {
  const cell = (/** @type {string} */ text) => text.replaceAll("|", "\\|");
  return [
    "| code | class | when | what to do | exit code |",
    "|---|---|---|---|---|",
    ...rows.map(
      ({ code, name, when, remedy }) =>
        `| \`${code}\` | \`${name}\` | ${cell(when)} | ${cell(remedy)} | ${usage.has(code) ? 2 : 1} |`,
    ),
  ];
}

/** The exit codes of the command, with their comments. @returns {{code: string, meaning: string}[]} */
export function exitCodes() {
  const [, list] = /** @type {RegExpExecArray} */ (
    /export const exit = \{\n([\s\S]*?)\n\}/.exec(read("packages/rfdetr/src/cli/context.ts").text)
  );
  return [...list.matchAll(/\/\*\* (.*?) \*\/\s*\w+: (\d+),/g)].map(([, meaning, code]) => ({ code, meaning }));
}

/** The page. */
export function page() {
  const files = written(/\.ts$/).filter(
    ({ path, text }) => path.includes("/src/") && !isTest(path) && /class \w+Error extends/.test(text),
  );
  const list = /usageCodes[^[]*\[([^\]]*)\]/.exec(read("packages/rfdetr/src/cli/error-report.ts").text)?.[1] ?? "";
  const usage = new Set([...list.matchAll(/"(\w+)"/g)].map(([, code]) => code));
  return [
    "# Errors",
    "",
    "Every error that a package throws at its caller has a `code`, which stays the same, a `message` of one sentence, which",
    "may change, and sometimes a `hint`: what to do about it. `RfdetrError.is(error)` is true for the errors of all three",
    "packages.",
    "",
    "The command prints message and hint, and ends with the exit code of the table. It is 2 where an option, an argument",
    "or a setting itself is wrong. It is 1 where the fault is in what they name, such as a file that does not exist, a",
    "folder that exists already, or a module of your own that does not load or fails: callbacks, an augmentation, a",
    "dataset. A config file that gives no settings counts as a setting. With `--json`, it also prints",
    '`{"error":{"code","message"}}`, and `hint` where there is one, as the last line of stdout. Any other error is a fault',
    "of rfdetr, and is printed with its stack.",
    "",
    "| exit code | meaning |",
    "|---|---|",
    ...exitCodes().map(({ code, meaning }) => `| ${code} | ${meaning} |`),
    "",
    "A second signal, a second later or more, ends a training at once, by that signal; a shell shows the same code.",
    "",
    "This page is made from the docstrings of the classes by `node tools/generate/errors.mjs`.",
    ...packages.flatMap(([folder, name, base]) => [
      "",
      `## ${name}`,
      "",
      `The base of these classes is \`${base}\`.`,
      "",
      ...table(rowsOf(files.filter(({ path }) => path.startsWith(`packages/${folder}/`))), usage),
    ]),
    "",
  ].join("\n");
}

if (isMain(import.meta.url)) {
  const made = page();
  if (!process.argv.includes("--check")) writeFileSync(join(root, "docs/errors.md"), made);
  else if (made !== read("docs/errors.md").text) {
    console.error("docs/errors.md does not show the errors as they are: run node tools/generate/errors.mjs");
    process.exitCode = 1;
  }
}
