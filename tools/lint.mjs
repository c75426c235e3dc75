#!/usr/bin/env node
// @ts-check
// `npm run lint`: every check that needs no test run; one line for each, and the output of those that fail.
import { spawnSync } from "node:child_process";
import { delimiter, join } from "node:path";
import { isMain, root } from "./check/repository.mjs";

/** @typedef {[name: string, ...command: string[]]} Check */

/** @type {Check[]} what reads compiled files stands after the build */
const checks = [
  ["biome", "biome", "check", "--error-on-warnings", "."],
  ["build", "tsc", "-b"],
  ["types of tests", "tsc", "-p", "tsconfig.tests.json"],
  ["types of scripts", "tsc", "-p", "tsconfig.scripts.json"],
  ["types of the live page", "tsc", "-p", "tsconfig.page.json"],
  ["table of settings", "node", "tools/generate/features.mjs", "--check"],
  ["schema of config files", "node", "tools/generate/config-schema.mjs", "--check"],
  ["budget", "node", "tools/check/budget.mjs"],
  ["dead code", "knip"],
  ["code for tests alone", "knip", "--production"],
  ["messages", "node", "tools/check/messages.mjs", "--check"],
  ["spread lists", "node", "tools/check/spreads.mjs"],
  ["table of errors", "node", "tools/generate/errors.mjs", "--check"],
  ["table of operators", "node", "tools/generate/ops.mjs", "--check"],
  ["table of data checks", "node", "tools/generate/data-checks.mjs", "--check"],
  ["page of the interface", "node", "tools/generate/api.mjs", "--check"],
  ["references of documents", "node", "tools/check/doc-references.mjs"],
  ["format of Python", "node", "tools/check/python-format.mjs"],
  ["format of C++", "node", "tools/check/native-format.mjs"],
  ...["torch", "amp", "rfdetr"].flatMap((name) => [
    /** @type {Check} */ ([`package ${name}`, "publint", `packages/${name}`, "--strict"]),
    // Node.js 20.19 and newer can require what is an ES module.
    /** @type {Check} */ ([
      `types of package ${name}`,
      "attw",
      ...["--pack", `packages/${name}`, "--profile", "node16", "--ignore-rules", "cjs-resolves-to-esm"],
    ]),
  ]),
];

/**
 * @param {Check[]} list
 * @param {(line: string) => void} print
 * @returns {string[]} names of the checks that failed
 */
export function lint(list, print) {
  const width = Math.max(...list.map(([name]) => name.length));
  const env = { ...process.env, PATH: `${join(root, "node_modules/.bin")}${delimiter}${process.env.PATH}` };
  /** @type {string[]} */
  const failed = [];
  for (const [name, program, ...args] of list) {
    const start = performance.now();
    const { status, error, stdout, stderr } = spawnSync(program, args, {
      cwd: root,
      encoding: "utf8",
      env,
      maxBuffer: 1 << 26,
    });
    const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(5);
    print(`${status === 0 ? "ok    " : "FAILED"} ${name.padEnd(width)} ${seconds} s`);
    if (status === 0) {
      // What a check leaves out on this machine is worth a line.
      for (const [line] of stdout.matchAll(/^.*: skipped, .*$/gm)) print(line);
      continue;
    }
    failed.push(name);
    print(error?.message ?? `${stdout}${stderr}`.trimEnd());
  }
  return failed;
}

if (isMain(import.meta.url)) {
  const failed = lint(checks, console.log);
  if (failed.length > 0) {
    console.log(`\nFailed: ${failed.join(", ")}`);
    process.exitCode = 1;
  }
}
