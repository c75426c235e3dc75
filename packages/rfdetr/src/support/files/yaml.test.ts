import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { quotedYaml, readYaml, yamlWithout } from "./yaml.js";

const folder = mkdtempSync(join(tmpdir(), "yaml-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "data.yaml");
const read = (content: string | Uint8Array): Record<string, unknown> => {
  writeFileSync(path, content);
  return readYaml(path, (message) => new Error(message));
};

describe("a YAML file", () => {
  it("is read with a byte order mark, and as UTF-16", () => {
    const expected = { names: { 0: "küken", 1: "no" }, train: null };
    const text = "\ufeffnames:\r\n  0: küken\r\n  1: no\r\ntrain:\r\n";
    expect(read(text)).toEqual(expected);
    expect(read(Buffer.from(text, "utf16le"))).toEqual(expected);
  });

  it("may use anchors, aliases and merge keys", () => {
    expect(read("a: &x {b: 1}\nc: *x\nd: {<<: *x, e: 2}\n")).toEqual({ a: { b: 1 }, c: { b: 1 }, d: { b: 1, e: 2 } });
  });

  it("may name many classes", () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `  ${i}: class ${i}\n`).join("");
    expect(Object.keys(read(`names:\n${names}`).names as object)).toHaveLength(20_000);
  });

  it("keeps a key called __proto__ as a key", () => {
    const value = read('"__proto__": {epochs: 7}\n');
    expect(Object.keys(value)).toEqual(["__proto__"]);
    expect(value.epochs).toBeUndefined();
  });

  it.each([
    ["", "but received an empty file"],
    ["- a\n- b\n", "Expected a mapping of names to values in"],
    ["names\n", "received a single value"],
    ["names: [cat\n", "line 2: flow sequence"],
    ["a: 1\n\tb: 2\n", "line 2: "],
    ["a: 1\nb: 2\na: 3\n", 'line 3: the key "a" is there twice: keep one'],
    ["names:\n  0: cat\n  '0': dog\n", 'line 3: the key "0" is there twice'],
    ["a: 1\n---\nb: 2\n", "a second document begins"],
    [`a: &x 1\nb: [${Array(101).fill("*x")}]\n`, "it has more than 100 aliases"],
    ["a: *x\n", "unresolved alias"],
    [`a: ${"[".repeat(100_000)}`, "it is nested too deeply"],
    [
      `a: &a [1,1,1,1,1,1,1,1,1]\nb: &b [${Array(9).fill("*a")}]\nc: &c [${Array(9).fill("*b")}]\nd: [${Array(9).fill("*c")}]\n`,
      "excessive alias count",
    ],
    [`a: "${"x".repeat(2e6)}"\n`, "Expected a YAML file of at most 2 MB"],
  ])("that starts with %.20j is refused by name", (text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe("the entries of a YAML file without some keys", () => {
  const rest = (content: string): string => {
    writeFileSync(path, content);
    return yamlWithout(path, new Set(["names", "train"]), (message) => new Error(message));
  };

  it("stand as they stood, because YAML 1.1 reads other values than 1.2", () => {
    const kept = "download: no\nwhen: 12:30\nquoted: 'no'\nkpt_shape: [ 4, 3 ]\nroboflow:\n  license: CC BY 4.0\n";
    expect(rest(`train: x\n${kept}names: [cat]\n`)).toBe(kept);
    expect(rest("{names: [cat], nc: 1}")).toBe("nc: 1\n");
    expect(rest("names: [cat]\n")).toBe("");
  });

  it("are written out where they use aliases, with texts in quotes", () => {
    expect(rest("names: &x [cat, no]\nothers: *x\n")).toBe('others:\n  - "cat"\n  - "no"\n');
  });
});

describe("a text in quotes", () => {
  it("has escapes for what YAML 1.1 takes for another character, or for none", () => {
    expect(quotedYaml("12:30")).toBe('"12:30"');
    const odd = 'a\tb "c" \\ \u0085\u2028\u007f\ufeff é 🦆';
    expect(quotedYaml(odd)).toBe('"a\\tb \\"c\\" \\\\ \\u0085\\u2028\\u007f\\ufeff é 🦆"');
    expect(read(`a: ${quotedYaml(odd)}\n`)).toEqual({ a: odd });
  });
});
