// `@rfdetr/amp/text`: figures as text, and how alike two names are. Loads no libtorch.
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
