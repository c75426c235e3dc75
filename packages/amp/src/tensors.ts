// Tensors among the arguments and results of operators.
import { Tensor } from "@rfdetr/torch";

/** Floating tensors in an argument list or a result, those inside lists included. */
export function floatingTensors(values: unknown): Tensor[] {
  if (values instanceof Tensor) return values.isFloatingPoint ? [values] : [];
  return Array.isArray(values) ? values.flatMap(floatingTensors) : [];
}

/** How instruments name the place of an operator call. */
export function placeName(path: string | null): string {
  if (path === null) return "(outside of modules)";
  return path === "" ? "(model)" : path;
}

/** `1.5 KiB`, `20 MiB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB"];
  const unit = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  const value = bytes / 1024 ** unit;
  return `${value >= 100 || unit === 0 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Columns aligned by spaces, the first to the left, the others to the right unless they hold words. */
export function textTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => row[column].length)));
  const numeric = header.map((_, column) =>
    rows.every((row) => /^[-\d.,e+× %]*( ?[KMG]?i?B)?$|^(nan|inf|-inf|NaN|Infinity|–)$/.test(row[column])),
  );
  return all
    .map((row) =>
      row
        .map((cell, column) => (numeric[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
