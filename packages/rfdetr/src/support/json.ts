// JSON files that users give, with a clear sentence about those that are not whole.
import { readFileSync } from "node:fs";
import { reasonOf } from "./system-error.js";

/**
 * Reads and parses a JSON file.
 * @param fail makes the error from its sentence and its cause
 * @throws what `fail` makes, for a file that cannot be read, is empty, was cut off or is not JSON
 */
export function readJson(path: string, fail: (message: string, cause: unknown) => Error): unknown {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw fail(`Expected a readable JSON file but ${path} cannot be read: ${reasonOf(error)}`, error);
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fail(`Expected JSON in ${path} but ${faultOf(text, (error as Error).message)}`, error);
  }
}

function faultOf(text: string, message: string): string {
  const trimmed = text.trimEnd();
  if (trimmed === "") return "the file is empty";
  const begins = /^\s*[[{]/.test(trimmed);
  if (begins && !/[\]}]$/.test(trimmed))
    return `it ends in the middle, after ${text.length} characters: the file was cut off, write or copy it again`;
  return `it is not JSON: ${message}`;
}
