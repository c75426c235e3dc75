// metrics.csv of a run: a row for each epoch.

/** The rows of metrics.csv. */
export interface MetricsTable {
  /** The names of the columns, `epoch` first. */
  columns: string[];
  /** By the name of the column; null where there is no figure, NaN where it was not a number. */
  rows: Record<string, number | null>[];
  /** Lines that are no rows. */
  damagedLines: number;
}

/** Reads metrics.csv. What follows the last line break is being written, and is left out. */
export function metricsOf(text: string): MetricsTable {
  const [header = "", ...lines] = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  const columns = header.trim().split(",");
  if (columns[0] !== "epoch") return { columns: [], rows: [], damagedLines: header.trim() === "" ? 0 : 1 };
  const rows: MetricsTable["rows"] = [];
  let damagedLines = 0;
  for (const line of lines) {
    const cells = line.trim().split(",");
    if (line.trim() === "") continue;
    if (!/^\d+$/.test(cells[0]) || !cells.every((cell, i) => isFigure(cell) && isPossible(columns[i], cell)))
      damagedLines++;
    else rows.push(Object.fromEntries(columns.map((name, i) => [name, cells[i] ? Number(cells[i]) : null])));
  }
  return { columns, rows, damagedLines };
}

/** Whether a figure is within its bounds: AP and AR are fractions of 1, or the −1 of early versions for none. */
const isPossible = (column: string | undefined, cell: string): boolean =>
  column === undefined ||
  !/^(val|test)\/(base_)?(mask_)?A[PR]/.test(column) ||
  (Number(cell) >= -1 && Number(cell) <= 1);

const isFigure = (cell: string): boolean => /^(NaN|-?Infinity)?$/.test(cell) || Number.isFinite(Number(cell));
