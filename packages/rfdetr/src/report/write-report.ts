// Writes the report of a run, or the comparison of several, as one file.
import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { RunDirectoryError, UsageError } from "../support/errors.js";
import { makeFolder, replaceText } from "../support/files/atomic.js";
import { reasonOf } from "../support/files/system-error.js";
import { checkArgument, texts } from "../support/options.js";
import { comparisonReport } from "./compare/comparison.js";
import { generator } from "./html/page.js";
import { type RunRecord, readRun } from "./records/run-record.js";
import { runReport } from "./run-report.js";

/** Runs that can be told apart in one chart. */
const mostCompared = 8;

/** What was written. */
export interface WrittenReport {
  /** The path of the file. */
  out: string;
  bytes: number;
  runs: RunRecord[];
}

/**
 * Writes the report of a run, or of several runs a comparison.
 * @param folders of the runs
 * @param out the file; null for `report.html` in the folder of the run, or `comparison.html` here
 * @throws RunDirectoryError for a folder that is not that of a run, and for a file that cannot be written, or is there
 * and no report
 * @throws UsageError for no run, for the same run twice and for more than eight
 * @example
 * import { writeReport } from "rfdetr/report";
 * console.log(writeReport(["runs/birds"]).out);
 * writeReport(["runs/birds", "runs/birds-2"], "birds.html");
 */
export function writeReport(folders: readonly string[], out: string | null = null): WrittenReport {
  checkArgument("folders", folders, texts);
  const paths = folders.map((folder) => resolve(folder));
  const twice = paths.find((path, i) => paths.indexOf(path) < i);
  if (paths.length === 0) throw new UsageError("Expected the folder of a run but received none");
  if (twice !== undefined) throw new UsageError(`Expected runs to compare but received ${twice} twice`);
  if (paths.length > mostCompared)
    throw new UsageError(
      `Expected at most ${mostCompared} runs to compare but received ${paths.length}: more lines in one chart cannot be told apart`,
    );
  const file = resolve(out ?? (paths.length === 1 ? join(paths[0], "report.html") : "comparison.html"));
  const runs = paths.map((path) => readRun(path));
  checkFile(file);
  const text = runs.length === 1 ? runReport(runs[0]) : comparisonReport(runs);
  makeFolder(resolve(file, ".."));
  replaceText(file, text);
  return { out: file, bytes: Buffer.byteLength(text), runs };
}

/** Writes the report of a run that has ended. @returns what is wrong where it cannot be written; null where it was */
export function reportOfEnd(folder: string): string | null {
  try {
    writeReport([folder]);
    return null;
  } catch (error) {
    return `The report was not written: ${reasonOf(error)}. The run itself is unaffected`;
  }
}

/** A file that exists is only replaced if it is a report. */
function checkFile(path: string): void {
  if (!existsSync(path)) return;
  if (statSync(path).isDirectory())
    throw new RunDirectoryError(`Expected a file for the report but ${path} is a folder: name a file in it`);
  if (statSync(path).size > 0 && !headOf(path).includes(generator))
    throw new RunDirectoryError(
      `Expected a file for the report but ${path} exists and is no report: choose another name`,
    );
}

function headOf(path: string): string {
  const bytes = Buffer.alloc(1024);
  const file = openSync(path, "r");
  try {
    return bytes.subarray(0, readSync(file, bytes)).toString("utf8");
  } finally {
    closeSync(file);
  }
}
