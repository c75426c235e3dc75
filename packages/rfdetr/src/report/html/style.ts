// The style sheet of the report.
import { readFileSync } from "node:fs";

/** The style sheet of the report. Read when it is needed: a bundler may have left the file behind. */
export const styleSheet = (): string => readFileSync(new URL("../../../assets/report.css", import.meta.url), "utf8");
