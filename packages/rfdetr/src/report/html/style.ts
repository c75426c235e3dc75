import { readFileSync } from "node:fs";

/** The style sheet of the report. */
export const style = readFileSync(new URL("../../../assets/report.css", import.meta.url), "utf8");
