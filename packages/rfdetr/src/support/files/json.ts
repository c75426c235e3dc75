// JSON files that users give, with a clear sentence about those that are not whole.
import { jsonFault, jsonFaultMessage, placeIn } from "./json-fault.js";
import { type Fail, readText } from "./text-file.js";

/** Bytes of the largest text that V8 can hold. */
const limit = 0x1fffffe8;

/**
 * Reads and parses a JSON file: UTF-8 or UTF-16, with or without a byte order mark.
 * @param fail makes the error from its sentence and its cause
 * @throws what `fail` makes, for a file that cannot be read, is empty, was cut off, is not JSON or has more than 536 MB
 */
export function readJson(path: string, fail: Fail): unknown {
  const text = readText(path, "JSON file", limit, fail);
  try {
    return JSON.parse(text);
  } catch (error) {
    if (text.trim() === "") throw fail(`Expected JSON in ${path} but the file is empty`, error);
    const fault = jsonFault(text);
    if (fault === null) throw fail(`Expected JSON in ${path} but ${(error as Error).message}`, error);
    const at = fault.cut ? text.length : fault.at;
    throw fail(jsonFaultMessage(path, placeIn(text, at), text.slice(at, at + 40), fault.expected), error);
  }
}
