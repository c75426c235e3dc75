// Which epochs a line goes through.

/** A row of `metrics.csv`: an epoch by the names of its columns; null where a value is missing. */
export type MetricsRow = Readonly<Record<string, number | null>>;

const isNumber = (value: number | null | undefined): boolean => typeof value === "number" && Number.isFinite(value);

/**
 * The epochs that the line of a column goes through. One without an evaluation is no gap in a figure of evaluations:
 * the line goes on to the next that has one. One whose evaluation has no figure is a gap. What callbacks record is of
 * the epochs for which they recorded it.
 * @param column of the run's own, such as `val/AP`, or `NAME/figure` of callbacks
 */
export function rowsOfLine<Row extends MetricsRow>(rows: readonly Row[], column: string): Row[] {
  const [group] = column.split("/");
  if (group === "val")
    return rows.filter((row) => Object.keys(row).some((name) => name.startsWith("val/") && isNumber(row[name])));
  return rows.filter((row) => group === column || group === "train" || isNumber(row[column]));
}
