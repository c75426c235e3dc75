// @ts-check
// Damage to valid files, and what a forger would write, drawn from a seed.

/** Numbers from 0 to below 1 (mulberry32). @param {number} seed @returns {() => number} */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** @typedef {(items: number) => number} Draw an integer from 0 to below a number */
/** @template T @param {Draw} draw @param {readonly T[]} items @returns {T} */
const pick = (draw, items) => items[draw(items.length)];

/**
 * Cuts, flips, doubles, zeroes, removes and adds bytes.
 * @param {Draw} draw @param {Buffer} bytes @returns {Buffer}
 */
export function mutateBytes(draw, bytes) {
  if (bytes.length === 0) return Buffer.from([draw(256)]);
  const at = draw(bytes.length);
  const length = 1 + draw(Math.min(64, bytes.length - at));
  const copy = Buffer.from(bytes);
  switch (draw(8)) {
    case 0:
      return copy.subarray(0, at);
    case 1:
      return Buffer.concat([copy, Buffer.alloc(1 + draw(200), draw(256))]);
    case 2:
      return Buffer.concat([copy.subarray(0, at), copy.subarray(at + length)]);
    case 3:
      return Buffer.concat([copy.subarray(0, at + length), copy.subarray(at)]);
    case 4:
      return copy.fill(draw(2) * 255, at, at + length);
    case 5:
      if (at + 4 <= copy.length) copy.writeUInt32LE(pick(draw, [0, 1, 0x7fffffff, 0x80000000, 0xffffffff]), at);
      return copy;
    case 6:
      for (let i = at; i < at + length; i++) copy[i] = draw(256);
      return copy;
    default:
      for (let i = 0; i <= draw(4); i++) copy[draw(copy.length)] ^= 1 << draw(8);
      return copy;
  }
}

const deep = (/** @type {number} */ levels) => `${"[".repeat(levels)}${"]".repeat(levels)}`;
/** Values that readers do not expect, as JSON or YAML text. */
const oddValues = [
  ...[
    "null",
    "true",
    "-1",
    "0",
    "1e9",
    "1e308",
    "9007199254740993",
    "1e999",
    "0.5",
    '""',
    "[]",
    "{}",
    "[null]",
    "[[]]",
  ],
  ...[
    '"__proto__"',
    '"constructor"',
    '"NaN"',
    '"1"',
    '"\\u001b[2J"',
    '"\\ud800"',
    '"../../../../etc/passwd"',
    '"/dev/zero"',
  ],
  ...['{"__proto__":{"polluted":1}}', "NaN", "Infinity", deep(60), deep(50_000), JSON.stringify("x".repeat(100_000))],
];

/** Every place of a parsed value: its holder and key. @param {any} value @param {[any, string][]} into */
function places(value, into = []) {
  if (typeof value !== "object" || value === null) return into;
  for (const key of Object.keys(value)) {
    into.push([value, key]);
    places(value[key], into);
  }
  return into;
}

/**
 * Another value, key or structure in a JSON text; sometimes damage to its letters.
 * @param {Draw} draw @param {string} text @returns {string}
 */
export function mutateJson(draw, text) {
  if (draw(4) === 0) return mutateText(draw, text);
  const value = JSON.parse(text);
  const marks = /** @type {string[]} */ ([]);
  for (let i = 0; i <= draw(3); i++) {
    const [holder, key] = pick(draw, places(value)) ?? [value, "x"];
    switch (draw(5)) {
      case 0:
        if (Array.isArray(holder)) holder.splice(Number(key), 1);
        else delete holder[key];
        break;
      case 1:
        if (Array.isArray(holder)) holder.push(...holder.slice(0, 3));
        else holder[`${key}2`] = holder[key];
        break;
      default:
        holder[key] = `odd value ${marks.length} `;
        marks.push(pick(draw, oddValues));
    }
  }
  return marks.reduce((result, odd, i) => result.replace(`"odd value ${i} "`, () => odd), JSON.stringify(value));
}

const oddTokens = [
  ...[
    "nan",
    "-1",
    "1e309",
    "0x10",
    "",
    "99999999999999999999",
    "1.5",
    "-0",
    "abc",
    "\u0000",
    "\u001b[2J",
    "\ufeff",
    "é",
  ],
  ...["*a", "&a [*a, *a]", "!!js/function x", "null", "~", "{", "[", "- ", "\t", ": ", "#", "x".repeat(70_000)],
  "a: &a [x,x,x]\nb: &b [*a,*a,*a]\nc: &c [*b,*b,*b]\nd: [*c,*c,*c]",
];

/**
 * Other words and lines in a text, or damage to its bytes.
 * @param {Draw} draw @param {string} text @returns {string}
 */
export function mutateText(draw, text) {
  if (draw(3) === 0) return mutateBytes(draw, Buffer.from(text)).toString("latin1");
  const lines = text.split("\n");
  const at = draw(lines.length);
  switch (draw(6)) {
    case 0:
      lines.splice(at, 1);
      break;
    case 1:
      lines.splice(at, 0, lines[at], lines[draw(lines.length)]);
      break;
    case 2:
      lines[at] = pick(draw, oddTokens);
      break;
    case 3:
      lines.length = at;
      break;
    case 4:
      return lines.join(pick(draw, ["\r\n", "\r", "\n\n", " "]));
    default: {
      const words = lines[at].split(/([ ,:]+)/);
      words[draw(words.length)] = pick(draw, oddTokens);
      lines[at] = words.join("");
    }
  }
  return lines.join("\n");
}

/**
 * Damage to a safetensors file: its header, its metadata, or its bytes.
 * @param {Draw} draw @param {Buffer} bytes @returns {Buffer}
 */
export function mutateSafetensors(draw, bytes) {
  const length = Number(bytes.readBigUInt64LE());
  const header = bytes.toString("utf8", 8, 8 + length).trim();
  const data = bytes.subarray(8 + length);
  const build = (/** @type {string} */ text, shift = 0) => {
    const body = Buffer.from(text);
    const head = Buffer.alloc(8);
    head.writeBigUInt64LE(BigInt(Math.max(0, body.length + shift)));
    return Buffer.concat([head, body, data]);
  };
  switch (draw(6)) {
    case 0:
      return mutateBytes(draw, bytes);
    case 1:
      return build(`${header} `, pick(draw, [-1, 1, -2, 8, 1e9]));
    case 2: {
      const dtype = pick(draw, ["I32", "F16", "F64", "F8", "BOOL", "", "__proto__"]);
      return build(header.replaceAll('"F32"', (found) => (draw(20) === 0 ? JSON.stringify(dtype) : found)));
    }
    case 3:
    case 4: {
      const all = JSON.parse(header);
      const meta = all.__metadata__;
      const key = pick(draw, Object.keys(meta));
      if (draw(3) === 0) meta[key] = pick(draw, oddValues);
      else if (key === "variant") meta[key] = pick(draw, ["nano", "", "__proto__", "tiny "]);
      else meta[key] = key === "format" ? "" : mutateJson(draw, meta[key]);
      return build(JSON.stringify(all));
    }
    default:
      return build(mutateJson(draw, header));
  }
}

/** What a forger writes into a pickle. */
const pickles = [
  "cposix\nsystem\n(X\u0004\u0000\u0000\u0000true\u0085R",
  "c__builtin__\neval\n(X\u0001\u0000\u0000\u00001tR",
  "\u0094".repeat(300_000),
  "}a".repeat(100_000),
  "](X\u0001\u0000\u0000\u0000x".concat("2\u0086".repeat(60)),
  "cpathlib\nPosixPath\n(X\u0001\u0000\u0000\u0000x".concat("2\u0086".repeat(60), "tR"),
  "\u008a\u00ff".concat("\u0001".repeat(255)),
  "(".repeat(50_000),
];

/**
 * Damage to a checkpoint of torch, mostly to its pickle, which comes first.
 * @param {Draw} draw @param {Buffer} bytes @returns {Buffer}
 */
export function mutatePth(draw, bytes) {
  const end = bytes.indexOf("PK\u0003\u0004", 4, "latin1");
  const pickle = end < 0 ? bytes : bytes.subarray(0, end);
  const rest = end < 0 ? Buffer.alloc(0) : bytes.subarray(end);
  if (draw(4) === 0) return mutateBytes(draw, bytes);
  // The directory at the end has the size of the pickle, so that only changes of the same length are read as such.
  const copy = Buffer.from(pickle);
  if (draw(3) === 0) {
    const evil = Buffer.from(pick(draw, pickles), "latin1");
    const at = 64 + draw(Math.max(1, copy.length - 64));
    evil.copy(copy, at, 0, Math.min(evil.length, copy.length - at));
  } else for (let i = 0; i <= draw(4); i++) copy[draw(copy.length)] = draw(256);
  return Buffer.concat([copy, rest]);
}

/** A pickle of a forger alone, in the format before torch 1.6. @param {Draw} draw @returns {Buffer} */
export function forgedPickle(draw) {
  const body = Array.from({ length: 1 + draw(3) }, () => pick(draw, pickles)).join("");
  return Buffer.from(`\u0080\u0002${body}.`, "latin1");
}
