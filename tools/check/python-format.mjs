#!/usr/bin/env node
// @ts-check
// The Python files as ruff formats them; says so where the version that ruff.toml asks for is not installed.
//
//   node tools/check/python-format.mjs           fails where a file is not formatted
//   node tools/check/python-format.mjs --write   formats
import { spawnSync } from "node:child_process";
import { isMain, read, root, written } from "./repository.mjs";

/** @typedef {{status: number | null, output: string}} Ended */

/** @param {string} program @param {string[]} args @returns {Ended} */
function run(program, args) {
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, encoding: "utf8" });
  return { status, output: `${stdout ?? ""}${stderr ?? ""}`.trim() };
}

/**
 * @param {typeof run} execute
 * @param {string} version
 * @returns {string[] | null} how ruff of that version is called
 */
export function findRuff(execute, version) {
  const calls = [["ruff"], ["python3", "-m", "ruff"], ["python", "-m", "ruff"]];
  return (
    calls.find(([program, ...args]) => execute(program, [...args, "--version"]).output === `ruff ${version}`) ?? null
  );
}

/**
 * @param {string[]} files
 * @param {{write: boolean, version: string, execute?: typeof run}} options
 * @returns {{ok: boolean, said: string}}
 */
export function formatPython(files, { write, version, execute = run }) {
  const ruff = findRuff(execute, version);
  if (ruff === null)
    return {
      ok: true,
      said: `python-format: skipped, ruff ${version} is not installed (pip install ruff==${version})`,
    };
  const [program, ...first] = ruff;
  const steps = write
    ? [["check", "--fix", "--quiet"], ["format"]]
    : [
        ["check", "--quiet"],
        ["format", "--check"],
      ];
  const failed = steps
    .map((step) => execute(program, [...first, ...step, ...files]))
    .filter(({ status }) => status !== 0);
  return {
    ok: failed.length === 0,
    said: failed.length === 0 ? "python-format: ok" : failed.map(({ output }) => output).join("\n"),
  };
}

if (isMain(import.meta.url)) {
  const version = /required-version = "==([\d.]+)"/.exec(read("ruff.toml").text)?.[1] ?? "";
  const files = written(/\.py$/).map(({ path }) => path);
  const { ok, said } = formatPython(files, { write: process.argv.includes("--write"), version });
  console.log(said);
  if (!ok) process.exitCode = 1;
}
