// `@rfdetr/amp/text`: figures as text, as reports print them, and how alike two names are. Loads no libtorch.
export { editDistance } from "./nearest.js";

/** Bytes in the largest binary unit that fits, with three digits: `12 B`, `1.33 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  // From 999.5 on, three digits would round to a fourth.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

const numeric = /^[-–−+\d.,:e×% ]*( ?[KMGT]?i?B)?$|^(nan|inf|-inf|NaN|Infinity)$/;

/** Columns aligned by spaces: those of numbers, units included, to the right, all others to the left. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const right = header.map((_, column) => rows.every((row) => numeric.test(row[column])));
  return all
    .map((row) =>
      row
        .map((cell, column) => (right[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
