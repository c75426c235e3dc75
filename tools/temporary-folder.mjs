// The folder for temporary files of a test run: everything that tests leave in it goes with it.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Vitest calls it before the tests, and what it returns after them. The processes of the tests inherit the variables.
 */
export default function setup() {
  const before = tmpdir();
  forget(before);
  const folder = mkdtempSync(join(before, `rfdetr-tests-${process.pid}-`));
  for (const name of ["TMPDIR", "TEMP", "TMP"]) process.env[name] = folder;
  return () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}

/** Removes the folders of runs that were killed. @param {string} parent */
function forget(parent) {
  for (const name of readdirSync(parent)) {
    const pid = /^rfdetr-tests-(\d+)-/.exec(name)?.[1];
    if (pid !== undefined && !runs(Number(pid))) rmSync(join(parent, name), { recursive: true, force: true });
  }
}

/** @param {number} pid */
function runs(pid) {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
}
