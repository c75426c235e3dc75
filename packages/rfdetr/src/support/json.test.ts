import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { readJson } from "./json.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "json-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (text: string): unknown => {
  const path = join(folder, "file.json");
  writeFileSync(path, text);
  return readJson(path, (message) => new Error(message));
};

it("reads JSON, and says what is wrong with a file that is not whole", () => {
  expect(read('{"a": [1]}\n')).toEqual({ a: [1] });
  expect(() => read(" \n")).toThrow(/file\.json but the file is empty$/);
  expect(() => read('{"a": [1, 2')).toThrow(
    /file\.json but it ends in the middle, after 11 characters: the file was cut off/,
  );
  expect(() => read("{a: 1}")).toThrow(/file\.json but it is not JSON: /);
  expect(() => read("names: [cat]")).toThrow(/is not JSON/);
  expect(() => readJson(join(folder, "none.json"), (message) => new Error(message))).toThrow(
    /none\.json cannot be read: there is no such file$/,
  );
});
