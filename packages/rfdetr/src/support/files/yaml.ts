// YAML files that users give.
import { isMap, isScalar, LineCounter, parseDocument, stringify, visit, type YAMLMap } from "yaml";
import { type Fail, readText } from "./text-file.js";

/** Bytes of the largest file: names of 50,000 classes fit, and the parser needs many seconds for more. */
const limit = 2e6;
/** Aliases of a file: each is looked up in all of it. */
const mostAliases = 100;

/**
 * Reads a YAML file that is a mapping: UTF-8 or UTF-16, with or without a byte order mark. Words follow YAML 1.2, so
 * `no` and `on` are texts.
 * @param fail makes the error from its sentence and its cause
 * @throws what `fail` makes, for a file that cannot be read, is not YAML, is no mapping, has a key twice, has more than
 * 2 MB, or grows without bound through its aliases
 */
export function readYaml(path: string, fail: Fail): Record<string, unknown> {
  const text = readText(path, "YAML file", limit, fail);
  const lines = new LineCounter();
  const refuse: (what: string, at?: number, cause?: unknown) => never = (what, at, cause) => {
    const place = at === undefined ? "" : `line ${lines.linePos(at).line}: `;
    throw fail(`Expected YAML in ${path} but ${place}${what}`, cause);
  };
  try {
    // The parser compares each key with all others to find it twice, which takes seconds for thousands of names.
    const document = parseDocument(text, { uniqueKeys: false, lineCounter: lines, prettyErrors: false, merge: true });
    const [wrong] = document.errors;
    if (wrong?.code === "MULTIPLE_DOCS") refuse("a second document begins: keep one", wrong.pos[0]);
    if (wrong !== undefined)
      refuse(/call stack/.test(wrong.message) ? tooDeep : sentence(wrong.message), wrong.pos[0], wrong);
    if (!isMap(document.contents))
      throw fail(
        `Expected a mapping of names to values in ${path} but received ${text.trim() === "" ? "an empty file" : isScalar(document.contents) ? "a single value" : "a list"}`,
      );
    if (aliases(document.contents) > mostAliases) refuse(`it has more than ${mostAliases} aliases`);
    const twice = repeatedKey(document.contents);
    if (twice !== null) refuse(`the key ${JSON.stringify(twice.key)} is there twice: keep one`, twice.at);
    return document.toJS() as Record<string, unknown>;
  } catch (error) {
    if (error instanceof RangeError) refuse(tooDeep, undefined, error);
    if (error instanceof ReferenceError) refuse(sentence(error.message), undefined, error);
    throw error;
  }
}

/**
 * The entries of a YAML file without some keys, as text. Values stand as they stood, so that a reader of YAML 1.1, to
 * which `no` means false, finds what it found; those of a file with aliases are written out, with texts in quotes.
 */
export function yamlWithout(path: string, keys: ReadonlySet<string>, fail: Fail): string {
  const values = Object.entries(readYaml(path, fail)).filter(([key]) => !keys.has(key));
  if (values.length === 0) return "";
  const { contents } = parseDocument(readText(path, "YAML file", limit, fail), { uniqueKeys: false });
  if (!isMap(contents) || aliases(contents) > 0)
    return stringify(Object.fromEntries(values), { defaultStringType: "QUOTE_DOUBLE", defaultKeyType: "PLAIN" });
  contents.items = contents.items.filter(({ key }) => !keys.has(String(isScalar(key) ? key.value : key)));
  contents.flow = false;
  return stringify(contents, { lineWidth: 0 });
}

/**
 * A text in double quotes, which readers of YAML 1.1 and 1.2 read as this text, whatever it looks like: unquoted,
 * PyYAML reads `no` as false, 12:30 as 750 and 2024-01-01 as a date.
 */
export function quotedYaml(text: string): string {
  // What PyYAML takes for a break of the line, or for no character at all.
  const special = /[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]/g;
  return JSON.stringify(text).replace(special, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function aliases(contents: YAMLMap): number {
  let count = 0;
  visit(contents, { Alias: () => void count++ });
  return count;
}

/** The first key that a mapping has twice; null if none has. */
function repeatedKey(contents: YAMLMap): { key: string; at: number } | null {
  let found: { key: string; at: number } | null = null;
  visit(contents, {
    Map: (_, map) => {
      const keys = new Set<unknown>();
      for (const { key } of map.items) {
        const value = isScalar(key) ? String(key.value) : undefined;
        if (value === undefined || value === "<<") continue;
        if (keys.has(value)) {
          found = { key: value, at: (isScalar(key) && key.range?.[0]) || 0 };
          return visit.BREAK;
        }
        keys.add(value);
      }
      return undefined;
    },
  });
  return found;
}

const tooDeep = "it is nested too deeply";

const sentence = (message: string): string => {
  const [first] = message.split("\n");
  return first.charAt(0).toLowerCase() + first.slice(1);
};
