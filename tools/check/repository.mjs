// @ts-check
// What every check reads: the files of this repository as text.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url))
  .split(sep)
  .join("/")
  .replace(/\/$/, "");

/** @typedef {{path: string, text: string}} File `path` from the root, with slashes */

/**
 * Paths of all files that git tracks or would add.
 * @returns {string[]}
 */
export function paths() {
  const list = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard", "-z"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 26,
  });
  return [...new Set(list.split("\0"))].filter((path) => path !== "" && existsSync(join(root, path))).sort();
}

/** @param {string} path @returns {File} */
export const read = (path) => ({ path, text: readFileSync(join(root, path), "utf8") });

const isFixture = (/** @type {string} */ path) => /(^|\/)fixtures\//.test(path);
const isGenerated = (/** @type {string} */ path) => /\.generated\.\w+$/.test(path);

/** @param {string} path whether it holds tests or what only tests use */
export const isTest = (path) => /\.test\.\w+$|(^|\/)(test|testing)\//.test(path);

/**
 * Every file that people write, by its ending.
 * @param {RegExp} ending
 * @returns {File[]}
 */
export const written = (ending) =>
  paths()
    .filter((path) => ending.test(path) && !isFixture(path) && !isGenerated(path))
    .map(read);

/** @param {string} text @param {number} offset @returns {number} the line, counted from 1 */
export const lineAt = (text, offset) => text.slice(0, offset).split("\n").length;

/** @param {string} moduleUrl whether Node was started with this module */
export const isMain = (moduleUrl) =>
  process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(moduleUrl);

/**
 * One line for each breach; the exit code says whether there were any.
 * @param {string} check
 * @param {string[]} breaches
 */
export function report(check, breaches) {
  for (const breach of breaches) console.log(breach);
  console.log(`${check}: ${breaches.length === 0 ? "ok" : `${breaches.length} to mend`}`);
  if (breaches.length > 0) process.exitCode = 1;
}
