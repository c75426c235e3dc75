// Where a text stops being JSON, and what should stand there: V8 says neither in a form that is the same everywhere.

/** A place at which a text is not JSON. */
export interface JsonFault {
  /** Index of the character at fault; the length of the text where the text ends too early. */
  at: number;
  /** What should stand there. */
  expected: string;
  /** Whether the text ends there, between tokens or inside of one: what is missing may make it JSON. */
  cut: boolean;
}

const space = /[ \t\n\r]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const word = /true|false|null/y;
const nonFinite = /NaN|-?Infinity/y;
const words = ["true", "false", "null"];
const nonFiniteWords = ["NaN", "Infinity", "-Infinity"];
/** A number up to where a digit must follow, at the end of a text. */
const cutNumber = /-?(?:(?:0|[1-9]\d*)(?:\.|(?:\.\d+)?[eE][+-]?))?$/y;
/** An escaped character in a text without its end, at the end of a text. */
const cutEscape = /\\(?:u[0-9a-fA-F]{0,3})?$/y;

/**
 * Finds the first fault of a JSON text; null if it has none.
 * @param options.tolerant whether NaN, Infinity and -Infinity, which Python writes, pass as values
 */
export function jsonFault(text: string, { tolerant = false } = {}): JsonFault | null {
  const tokens = new Tokens(text);
  const open: ("{" | "[")[] = [];
  for (;;) {
    const opened = tokens.takeOne("{") ? "{" : tokens.takeOne("[") ? "[" : null;
    if (opened !== null && !tokens.takeOne(closing[opened])) {
      open.push(opened);
      const wrong = opened === "{" ? tokens.takeName('a name in double quotes or "}"') : null;
      if (wrong !== null) return wrong;
      continue;
    }
    const wrong = opened === null ? tokens.takeScalar({ tolerant }) : null;
    if (wrong !== null) return wrong;

    for (let inside = open.at(-1); ; inside = open.at(-1)) {
      if (inside === undefined) return tokens.isEnd() ? null : tokens.fault("the end of the file");
      if (tokens.takeOne(closing[inside])) {
        open.pop();
        continue;
      }
      if (!tokens.takeOne(",")) return tokens.fault(`a comma or "${closing[inside]}"`);
      const wrong = inside === "{" ? tokens.takeName("a name in double quotes") : null;
      if (wrong !== null) return wrong;
      break;
    }
  }
}

const closing = { "{": "}", "[": "]" } as const;

/** The tokens of a text, taken from front to back. White space before one is skipped. */
class Tokens {
  #at = 0;

  constructor(private readonly text: string) {}

  fault(expected: string, cut = this.#at === this.text.length): JsonFault {
    return { at: this.#at, expected, cut };
  }

  isEnd(): boolean {
    this.#take(space);
    return this.#at === this.text.length;
  }

  /** Takes one character of punctuation, if it is next. */
  takeOne(character: string): boolean {
    const found = this.#isNext(character);
    if (found) this.#at++;
    return found;
  }

  /** Takes what stands before a value in an object. */
  takeName(expected: string): JsonFault | null {
    if (!this.#isNext('"')) return this.fault(expected);
    return this.#takeString() ?? (this.takeOne(":") ? null : this.fault("a colon"));
  }

  /** Takes a value that is neither an object nor an array. */
  takeScalar({ tolerant }: { tolerant: boolean }): JsonFault | null {
    if (this.#isNext('"')) return this.#takeString();
    if (this.#isCutScalar(tolerant ? [...words, ...nonFiniteWords] : words)) return this.fault("a value", true);
    const found = this.#take(number) || this.#take(word) || (tolerant && this.#take(nonFinite));
    return found ? null : this.fault("a value");
  }

  /** Whether the text ends in a number or word that needs more. */
  #isCutScalar(words: readonly string[]): boolean {
    if (isAt(cutNumber, this.text, this.#at)) return true;
    const rest = this.text.slice(this.#at, this.#at + 10);
    return words.some((word) => word !== rest && word.startsWith(rest));
  }

  #takeString(): JsonFault | null {
    const end = stringEnd(this.text, this.#at);
    this.#at = end.at;
    const cut = end.at === this.text.length || isAt(cutEscape, this.text, end.at);
    return end.closed ? null : this.fault("the rest of a text in double quotes", cut);
  }

  #isNext(character: string): boolean {
    this.#take(space);
    return this.text[this.#at] === character;
  }

  #take(pattern: RegExp): boolean {
    const found = isAt(pattern, this.text, this.#at) && pattern.lastIndex > this.#at;
    if (found) this.#at = pattern.lastIndex;
    return found;
  }
}

function isAt(pattern: RegExp, text: string, at: number): boolean {
  pattern.lastIndex = at;
  return pattern.test(text);
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
