// The style sheet of the report.
import { readFileSync } from "node:fs";
import { darkStyle } from "../../charts/svg.js";

/** The style sheet of the report and its charts. Read when it is needed: a bundler may have left the file behind. */
export const styleSheet = (): string =>
  readFileSync(new URL("../../../assets/report.css", import.meta.url), "utf8") + darkStyle;
