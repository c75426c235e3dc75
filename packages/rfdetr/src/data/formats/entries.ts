// Values in annotation files: what tools write for ids, flags and numbers.
import { decimal } from "../../support/decimal.js";
import { shown } from "../../support/shown.js";

/** An entry of an annotation file. */
export type Entry = Readonly<Record<string, unknown>>;

/** Whether a value is a mapping. */
export function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** An id: a whole number, also as text, or a text that is none. @returns null for anything else */
export function readId(value: unknown): number | string | null {
  if (typeof value === "number") return Number.isFinite(value) ? value : null;
  if (typeof value !== "string" || value.trim() === "") return null;
  const number = decimal(value.trim());
  return Number.isSafeInteger(number) ? number : value;
}

const idFields = ["id", "image_id", "category_id"] as const;

/**
 * The first id of an entry that is a number beyond those that doubles hold one by one, so that others may equal it.
 * @param text of the entry
 * @returns its digits; null where there is none
 */
export function roundedId(entry: unknown, text: () => string): string | null {
  if (!isEntry(entry)) return null;
  const field = idFields.find(
    (name) => typeof entry[name] === "number" && Math.abs(entry[name]) > Number.MAX_SAFE_INTEGER,
  );
  if (field === undefined) return null;
  return new RegExp(`"${field}"\\s*:\\s*(-?\\d+)(?![.\\deE])`).exec(text())?.[1] ?? String(entry[field]);
}

/** A positive finite number, also as text. @returns null for anything else */
export function readLength(value: unknown): number | null {
  const number = typeof value === "string" ? decimal(value.trim()) : value;
  return typeof number === "number" && Number.isFinite(number) && number > 0 ? number : null;
}

/** A value as it stands in the file, for a message. */
export function textOf(value: unknown): string {
  return shown(value, 80);
}
