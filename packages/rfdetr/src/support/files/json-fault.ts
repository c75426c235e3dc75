// Where a text stops being JSON, and what should stand there: V8 says neither in a form that is the same everywhere.

/** A place at which a text is not JSON. */
export interface JsonFault {
  /** Index of the character at fault; the length of the text where the text ends too early. */
  at: number;
  /** What should stand there. */
  expected: string;
}

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;
const nonFinite = /NaN|-?Infinity/y;

/**
 * Finds the first fault of a JSON text; null if it has none.
 * @param options.tolerant whether NaN, Infinity and -Infinity, which Python writes, pass as values
 */
export function jsonFault(text: string, { tolerant = false } = {}): JsonFault | null {
  let at = 0;
  const open: ("{" | "[")[] = [];
  const take = (pattern: RegExp): boolean => {
    pattern.lastIndex = at;
    const found = pattern.test(text) && pattern.lastIndex > at;
    if (found) at = pattern.lastIndex;
    return found;
  };
  const isNext = (character: string): boolean => {
    take(space);
    return text[at] === character;
  };
  const fault = (expected: string): JsonFault => ({ at, expected });
  const string = (): JsonFault | null => {
    const end = stringEnd(text, at);
    at = end.at;
    return end.closed ? null : fault("the rest of a text in double quotes");
  };
  /** Takes what stands before a value in an object. */
  const name = (expected: string): JsonFault | null => {
    if (!isNext('"')) return fault(expected);
    const wrong = string();
    if (wrong !== null) return wrong;
    if (!isNext(":")) return fault("a colon");
    at++;
    return null;
  };

  for (;;) {
    take(space);
    const character = text[at];
    let entered = false;
    if (character === "{" || character === "[") {
      at++;
      const close = character === "{" ? "}" : "]";
      if (isNext(close)) at++;
      else {
        open.push(character);
        entered = true;
        const wrong = character === "{" ? name('a name in double quotes or "}"') : null;
        if (wrong !== null) return wrong;
      }
    } else if (character === '"') {
      const wrong = string();
      if (wrong !== null) return wrong;
    } else if (!take(number) && !take(word) && !(tolerant && take(nonFinite))) return fault("a value");
    if (entered) continue;

    for (;;) {
      const inside = open.at(-1);
      if (inside === undefined) {
        take(space);
        return at === text.length ? null : fault("the end of the file");
      }
      const close = inside === "{" ? "}" : "]";
      if (isNext(close)) {
        at++;
        open.pop();
        continue;
      }
      if (text[at] !== ",") return fault(`a comma or "${close}"`);
      at++;
      const wrong = inside === "{" ? name("a name in double quotes") : null;
      if (wrong !== null) return wrong;
      break;
    }
  }
}

/** The index behind a text that begins at `at`, or that of the character which cannot be in it. */
function stringEnd(text: string, at: number): { at: number; closed: boolean } {
  const escaped = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
  for (let i = at + 1; i < text.length; ) {
    if (text[i] === '"') return { at: i + 1, closed: true };
    if (text[i] === "\\") {
      escaped.lastIndex = i;
      if (!escaped.test(text)) return { at: i, closed: false };
      i = escaped.lastIndex;
    } else if (text.charCodeAt(i) < 0x20) return { at: i, closed: false };
    else i++;
  }
  return { at: text.length, closed: false };
}

/**
 * The sentence for a fault.
 * @param line and column of the fault, both from 1
 * @param found the text from the fault on; empty at the end of the file
 */
export function jsonFaultMessage(
  path: string,
  { line, column }: { line: number; column: number },
  found: string,
  expected: string,
  within = "",
): string {
  const place = `line ${line}, column ${column}${within}`;
  if (found === "")
    return `Expected JSON in ${path} but it ends in the middle, at ${place}: the file was cut off, write or copy it again`;
  const shown = JSON.stringify(/^(?:[\w.+-]{1,20}|.)/su.exec(found)?.[0]);
  return `Expected JSON in ${path} but ${place} has ${shown} where ${expected} should be`;
}

/** Line and column of a character, both from 1. */
export function placeIn(text: string, at: number): { line: number; column: number } {
  const before = text.slice(0, at);
  return { line: before.split("\n").length, column: at - before.lastIndexOf("\n") };
}
