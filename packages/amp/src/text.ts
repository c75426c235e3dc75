// `@rfdetr/amp/text`: figures as text, and how similar two names are. It does not load libtorch.
export { editDistance } from "./policy/nearest.js";

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

/** A cosine with the digits of tables, so that sentences quote what stands there: `0.99998`. */
export const cosineText = (cosine: number): string => cosine.toFixed(5);

/** Characters that take two columns: East Asian ones, and most emoji. */
const wide =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/** Characters that take none: they change the one before. */
const none = /[\p{M}\u200b-\u200d]/u;

/** Columns that a line of text takes in a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += none.test(character) ? 0 : wide.test(character) ? 2 : 1;
  return width;
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
    const width = [title, ...cells].reduce((most, cell) => Math.max(most, displayWidth(cell)), 0);
    const right = cells.every((cell) => numeric.test(cell));
    return [title, ...cells].map((cell) => {
      const space = " ".repeat(width - displayWidth(cell));
      return right ? space + cell : cell + space;
    });
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
