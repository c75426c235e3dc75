import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readJson } from "./json.js";
import { jsonFault } from "./json-fault.js";
import { readText } from "./text-file.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "json-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const fail = (message: string): Error => new Error(message);
const put = (content: string | Uint8Array): string => {
  const path = join(folder, "file.json");
  writeFileSync(path, content);
  return path;
};
const read = (content: string | Uint8Array): unknown => readJson(put(content), fail);

it("reads JSON, and says what is wrong with a file that is not whole", () => {
  expect(read('{"a": [1]}\n')).toEqual({ a: [1] });
  expect(() => read(" \n")).toThrow(/file\.json but the file is empty$/);
  expect(() => read('{"a": [1, 2')).toThrow(
    /file\.json but it ends in the middle, at line 1, column 12: the file was cut off/,
  );
  expect(() => read("{a: 1}")).toThrow('file.json but line 1, column 2 has "a" where a name in double quotes or "}"');
  expect(() => read('{"a":\n NaN}')).toThrow('line 2, column 2 has "NaN" where a value should be');
  expect(() => read("names: [cat]")).toThrow('has "names" where a value should be');
  expect(() => readJson(join(folder, "none.json"), fail)).toThrow(/none\.json cannot be read: there is no such file$/);
  expect(() => readJson(folder, fail)).toThrow("it is a folder");
  expect(() => readJson("/dev/zero", fail)).toThrow("it is a device or a pipe");
});

it("reads UTF-8 and UTF-16 with a byte order mark", () => {
  const little = Buffer.from('\ufeff["ø"]', "utf16le");
  for (const content of ['\ufeff["ø"]', little, Buffer.from(little).swap16()]) expect(read(content)).toEqual(["ø"]);
});

it("names the limit that a text has", () => {
  expect(() => readText(put("12345"), "YAML file", 4, fail)).toThrow("Expected a YAML file of at most 0 MB but");
});

it.each(['{"a": "abc', '{"a', '["a\\', '["\\u00', "[tru", "[-", '{"a": 1.', "[1e+", '[1, "b",', '{"a":'])(
  "%j is a file that was cut off",
  (text) => expect(() => read(text)).toThrow(`column ${text.length + 1}: the file was cut off`),
);

it("does not call a text cut off that nothing can make whole", () => {
  expect(() => read("[tru]")).toThrow('column 2 has "tru" where a value should be');
  expect(() => read("[tru\n")).toThrow('column 2 has "tru" where a value should be');
  expect(() => read("[1., 2]")).toThrow('column 3 has "." where a comma or "]" should be');
  expect(() => read('["\\x')).toThrow('column 3 has "\\\\" where the rest of a text in double quotes should be');
  expect(() => read("[01")).toThrow('column 3 has "1" where a comma or "]" should be');
});

describe("the fault of a text", () => {
  it("is a cut wherever JSON is cut off", () => {
    fc.assert(
      fc.property(fc.json(), fc.nat(), (json, at) => {
        const fault = jsonFault(json.slice(0, 1 + (at % json.length)));
        expect(fault?.cut ?? true).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("is none where V8 parses it, and at most at its end where V8 does not", () => {
    const text = fc.oneof(
      fc.json(),
      fc
        .tuple(fc.json(), fc.nat(), fc.string())
        .map(([json, at, more]) => json.slice(0, at) + more + json.slice(at + 1)),
      fc
        .array(fc.constantFrom("{", "}", "[", "]", ",", ":", '"a"', "1", "-", ".5", "e", "null", " ", "\\"))
        .map((parts) => parts.join("")),
    );
    fc.assert(
      fc.property(text, (json) => {
        let parses = true;
        try {
          JSON.parse(json);
        } catch {
          parses = false;
        }
        const fault = jsonFault(json);
        expect(fault === null).toBe(parses);
        if (fault !== null) expect(fault.at).toBeLessThanOrEqual(json.length);
      }),
      { numRuns: 500 },
    );
  });
});
