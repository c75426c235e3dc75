// `@rfdetr/amp/text`: figures as text, and how similar two names are. It does not load libtorch.
export { editDistance } from "./nearest.js";

/** Bytes in the largest binary unit that fits, with three digits: `12 B`, `1.33 GiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  // Values from 999.5 on would round to 1000, which has four digits.
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`;
}

/** Cells of a column of numbers. */
const numeric = /^[-–−+\d.,:e×% ]*( ?[KMGT]?i?B)?$|^(nan|inf|-inf|NaN|Infinity)$/;

/**
 * A table as text, with columns aligned by spaces. Columns of numbers, with or without units, are aligned to the right,
 * all others to the left.
 * @param rows the cells of each row, one for each title of the header
 */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const columns = header.map((title, column) => {
    const cells = rows.map((row) => row[column] ?? "");
    const width = Math.max(title.length, ...cells.map((cell) => cell.length));
    const right = cells.every((cell) => numeric.test(cell));
    return [title, ...cells].map((cell) => (right ? cell.padStart(width) : cell.padEnd(width)));
  });
  return [header, ...rows]
    .map((_, line) =>
      columns
        .map((cells) => cells[line])
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
