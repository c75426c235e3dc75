// `metrics.csv` read back.
import { existsSync, readFileSync } from "node:fs";
import type { MetricsRow } from "../../eval/figures/rows-of-line.js";

/** The rows of a `metrics.csv`, by the names of its columns; those that are damaged are left out. */
export function readMetrics(path: string): MetricsRow[] {
  if (!existsSync(path)) return [];
  const [header = "", ...lines] = readFileSync(path, "utf8").split("\n");
  const columns = header.split(",");
  return lines.flatMap((line) => {
    const fields = line.split(",");
    if (!/^\d+,[-+.,\w]*$/.test(line) || fields.length > columns.length) return [];
    return [
      Object.fromEntries(
        columns.map((column, i) => [column, fields[i] === undefined || fields[i] === "" ? null : Number(fields[i])]),
      ),
    ];
  });
}
