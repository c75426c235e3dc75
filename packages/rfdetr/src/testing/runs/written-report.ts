// The page of a report, for tests of what it says.
import { join } from "node:path";
import { readRun } from "../../report/records/run-record.js";
import { runReport } from "../../report/run-report.js";
import { type HtmlPage, htmlPage } from "../pages/html-page.js";
import { testFolder } from "../test-folder.js";
import { type ReportRun, reportRun } from "./report-run.js";

/** A folder for the runs of a test file. */
export const root = testFolder();

/** The report of the run in a folder. */
export const pageOf = (folder: string): HtmlPage => htmlPage(runReport(readRun(folder)));

let count = 0;
/** The report of an example, which is written first. */
export const reportOf = (example: ReportRun = {}): HtmlPage => pageOf(reportRun(join(root, `run-${++count}`), example));
