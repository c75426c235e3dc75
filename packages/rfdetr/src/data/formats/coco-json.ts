// Reads COCO annotation files of any size, without checking their entries.
import { dataFail, type Fail } from "../../support/files/text-file.js";
import { roundedId } from "./entries.js";
import { JsonBytes } from "./json-bytes.js";

/** The content of an annotation file. Nothing in it is checked. */
export interface CocoJson {
  images: unknown[];
  annotations: unknown[];
  categories: unknown[];
  /** Everything else at the top level, such as `info` and `licenses`. */
  rest: Record<string, unknown>;
  /** What is odd about the file as a whole, one sentence each: a missing list, one that is there twice. */
  problems: string[];
}

/** Options of {@link readCocoJson} and {@link readJsonList}. */
export interface CocoJsonOptions {
  /**
   * Whether to keep the outlines of annotations that have a usable box (default false), or what to keep in their place.
   * Where they are left out, `segmentation` is "skipped".
   */
  segmentations?: boolean | ((segmentation: unknown) => unknown);
  /** Makes the error of a file that cannot be read (default a DataError). */
  fail?: Fail;
  /** Bytes to read at once (default 4 MiB). */
  pieceBytes?: number;
}

/** Stands for the outline of an annotation that was not read. */
const skippedSegmentation = "skipped";

const lists = ["images", "annotations", "categories"] as const;

/**
 * Reads an annotation file: UTF-8 or UTF-16, with or without a byte order mark, of any size. The tokens NaN, Infinity
 * and -Infinity, which Python writes, become these numbers.
 * @throws DataError with the line and column at which the file is not JSON, or if it is no object
 */
export function readCocoJson(path: string, options: CocoJsonOptions = {}): CocoJson {
  const { segmentations = false, fail = dataFail, pieceBytes = 4 << 20 } = options;
  const content: CocoJson = { images: [], annotations: [], categories: [], rest: {}, problems: [] };
  const seen = new Set<string>();
  const rest = new Map<string, unknown>();
  const bytes = new JsonBytes(path, pieceBytes, fail);
  try {
    begin(bytes, path, fail);
    if (bytes.peek() !== brace)
      throw fail(
        `Expected an object with images, categories and annotations in ${path} but received ${bytes.peek() === bracket ? "a list: it may be a file of results" : "a single value"}`,
      );
    members(bytes, (name) => {
      const list = lists.find((key) => key === name);
      if (seen.has(name)) content.problems.push(`"${name}" is twice in ${path}: the last one counts`);
      seen.add(name);
      if (list !== undefined) content[list] = [];
      if (list !== undefined && bytes.peek() === bracket)
        entries(bytes, list, list === "annotations" ? readerOf(segmentations) : whole, content[list]);
      else {
        bytes.keep();
        bytes.skipValue();
        const value = parse(bytes, bytes.text(), ` ("${name}")`);
        if (list === undefined) rest.set(name, value);
        else content.problems.push(`Expected a list "${name}" in ${path} but received ${kindOf(value)}`);
      }
    });
    if (bytes.peek() !== -1) bytes.refuse("the end of the file");
  } finally {
    bytes.close();
  }
  for (const name of lists)
    if (!seen.has(name)) content.problems.push(`Expected a list "${name}" in ${path} but it has none`);
  if (!bytes.isUtf8)
    content.problems.push(`Expected UTF-8 in ${path} but some names are in another encoding and cannot be read`);
  // Not by assignment: a member may be called __proto__.
  content.rest = Object.fromEntries(rest);
  return content;
}

/**
 * Whether a file may be one of annotations: an object with a list of images or annotations. What cannot be read may be
 * one too, so that its fault is named.
 */
export function mayBeCoco(path: string): boolean {
  const bytes = new JsonBytes(path, 64 << 10, dataFail);
  let found = false;
  try {
    if (bytes.peek() !== brace) return bytes.peek() === -1;
    members(bytes, (name) => {
      found = (name === "images" || name === "annotations") && bytes.peek() === bracket;
      if (!found) bytes.skipValue();
      return found;
    });
    return found;
  } catch {
    return true;
  } finally {
    bytes.close();
  }
}

/**
 * Reads a list, such as a file of COCO results, as {@link readCocoJson} reads annotations.
 * @throws DataError with the line and column at which the file is not JSON, or if it is no list
 */
export function readJsonList(path: string, { fail = dataFail, pieceBytes = 4 << 20 }: CocoJsonOptions = {}): unknown[] {
  const bytes = new JsonBytes(path, pieceBytes, fail);
  const result: unknown[] = [];
  try {
    begin(bytes, path, fail);
    if (bytes.peek() !== bracket)
      throw fail(
        `Expected a list in ${path} but received ${bytes.peek() === brace ? "an object: it may be a file of annotations" : "a single value"}`,
      );
    entries(bytes, "", whole, result);
    if (bytes.peek() !== -1) bytes.refuse("the end of the file");
  } finally {
    bytes.close();
  }
  return result;
}

/**
 * Whether an annotation is a crowd region by its `iscrowd`: true, 1 and "1" are yes, false, 0, "0", null and nothing
 * are no; undefined for what is neither.
 */
export function isCrowd(value: unknown): boolean | undefined {
  if (value === true || value === 1 || value === "1" || value === "true") return true;
  if ([false, 0, "0", "false", "", null, undefined].includes(value as null)) return false;
  return undefined;
}

const brace = 0x7b;
const bracket = 0x5b;
const comma = 0x2c;

function begin(bytes: JsonBytes, path: string, fail: Fail): void {
  if (bytes.peek() === -1) throw fail(`Expected JSON in ${path} but the file is empty`);
}

/** Goes through the members of an object; `read` takes the value of each, and returns true to end. */
function members(bytes: JsonBytes, read: (name: string) => unknown): void {
  bytes.next();
  bytes.keep();
  if (bytes.peek() === 0x7d) return void bytes.next();
  for (;;) {
    bytes.keep();
    if (bytes.peek() !== 0x22) bytes.refuse("a name in double quotes");
    bytes.skipValue();
    const name = parse(bytes, bytes.text(), "") as string;
    bytes.keep();
    if (bytes.peek() !== 0x3a) bytes.refuse("a colon");
    bytes.next();
    bytes.keep();
    bytes.peek();
    if (read(name) === true) return;
    bytes.keep();
    const byte = bytes.peek();
    if (byte !== comma && byte !== 0x7d) bytes.refuse('a comma or "}"');
    bytes.next();
    bytes.keep();
    if (byte !== comma) return;
  }
}

/** Reads an entry of a list; `within` says where it is. */
type ReadEntry = (bytes: JsonBytes, within: () => string) => unknown;

/** Appends the entries of a list. */
function entries(bytes: JsonBytes, list: string, read: ReadEntry, into: unknown[]): void {
  const within = (): string => ` (entry ${into.length}${list === "" ? "" : ` of "${list}"`})`;
  bytes.next();
  bytes.keep();
  if (bytes.peek() === 0x5d) return void bytes.next();
  for (;;) {
    bytes.peek();
    bytes.keep();
    const entry = read(bytes, within);
    const rounded = roundedId(entry, () => bytes.text());
    if (rounded !== null)
      throw bytes.fail(
        `Expected ids of at most ${Number.MAX_SAFE_INTEGER} in ${bytes.path} but received ${rounded}${within()}: others would be the same number here. Number the ids anew`,
      );
    into.push(entry);
    bytes.keep();
    const byte = bytes.peek();
    if (byte !== comma && byte !== 0x5d) bytes.refuse('a comma or "]"', within());
    bytes.next();
    bytes.keep();
    if (byte !== comma) return;
  }
}

function whole(bytes: JsonBytes, within: () => string): unknown {
  bytes.skipValue();
  return parse(bytes, bytes.text(), within());
}

function readerOf(segmentations: CocoJsonOptions["segmentations"]): ReadEntry {
  if (typeof segmentations !== "function") return segmentations ? whole : withoutOutline;
  return (bytes, within) => {
    const entry = whole(bytes, within);
    if (hasBox(entry) && "segmentation" in entry) entry.segmentation = segmentations(entry.segmentation);
    return entry;
  };
}

/** An annotation, whose outline is not parsed if there is a box beside it. */
function withoutOutline(bytes: JsonBytes, within: () => string): unknown {
  if (bytes.peek() !== brace) return whole(bytes, within);
  let outline: { from: number; to: number } | null = null;
  bytes.next();
  for (let byte = bytes.next(); byte !== 0x7d && byte !== 0x5d; byte = bytes.next())
    if (byte === brace || byte === bracket) bytes.skipValue(1);
    else if (byte === 0x22) {
      const from = bytes.length;
      bytes.skipText();
      if (bytes.length - from !== 13 || bytes.text(from, from + 12) !== "segmentation" || bytes.peek() !== 0x3a)
        continue;
      bytes.next();
      bytes.peek();
      outline = { from: bytes.length, to: 0 };
      bytes.skipValue();
      outline.to = bytes.length;
    }
  if (outline !== null) {
    const text = `${bytes.text(0, outline.from)}"${skippedSegmentation}"${bytes.text(outline.to)}`;
    const entry = tryParse(text);
    if (entry !== undefined && hasBox(entry.value)) return entry.value;
  }
  const entry = parse(bytes, bytes.text(), within());
  // For a name that is written with escapes, which the search above does not see.
  if (hasBox(entry) && "segmentation" in entry) entry.segmentation = skippedSegmentation;
  return entry;
}

function hasBox(entry: unknown): entry is { bbox: number[]; segmentation?: unknown } {
  const box = (entry as { bbox?: unknown } | null)?.bbox;
  return Array.isArray(box) && box.length === 4 && box.every(Number.isFinite) && box[2] > 0 && box[3] > 0;
}

function parse(bytes: JsonBytes, text: string, within: string): unknown {
  const parsed = tryParse(text);
  return parsed === undefined ? bytes.refuse("a value", within) : parsed.value;
}

/** Parses a text; NaN and infinities are numbers. @returns undefined if it is not JSON */
function tryParse(text: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    if (!/NaN|Infinity/.test(text)) return undefined;
  }
  // No number of JSON is NaN, so a text that nothing else can be stands for it; infinities are numbers too large.
  const nan = "\u0000NaN\u0000";
  const tolerated = text.replace(/"(?:[^"\\]|\\.)*"|\bNaN\b|\bInfinity\b/g, (token) =>
    token === "NaN" ? JSON.stringify(nan) : token === "Infinity" ? "1e999" : token,
  );
  try {
    return { value: JSON.parse(tolerated, (_, value) => (value === nan ? Number.NaN : value)) };
  } catch {
    return undefined;
  }
}

const kindOf = (value: unknown): string => (value === null ? "null" : typeof value);
