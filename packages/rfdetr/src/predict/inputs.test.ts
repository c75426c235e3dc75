import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { imageFiles } from "./inputs.js";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "inputs-"));
  mkdirSync(join(folder, "a", "b"), { recursive: true });
  mkdirSync(join(folder, "empty"));
  for (const name of ["2.jpg", "1.PNG", "x.txt", "a/3.jpg", "a/b/4.jpg"]) writeFileSync(join(folder, name), "");
});

const names = (...inputs: string[]) =>
  imageFiles(inputs.map((input) => join(folder, input))).map((path) => path.slice(folder.length + 1));

describe("imageFiles", () => {
  it("takes files as they are, images of a folder, and patterns", () => {
    expect(names("x.txt")).toEqual(["x.txt"]);
    expect(names(".")).toEqual(["1.PNG", "2.jpg"]);
    expect(names("*.jpg")).toEqual(["2.jpg"]);
    expect(names("*/?.jpg")).toEqual(["a/3.jpg"]);
    expect(names("**/*.jpg")).toEqual(["2.jpg", "a/3.jpg", "a/b/4.jpg"]);
  });

  it("names every file once, in the order of the arguments", () => {
    expect(names("a/3.jpg", "**/*.jpg")).toEqual(["a/3.jpg", "2.jpg", "a/b/4.jpg"]);
  });

  it("says which argument leads to nothing", () => {
    expect(() => names("none.jpg")).toThrow("none.jpg does not exist");
    expect(() => names("empty")).toThrow("found none in");
    expect(() => names("*.gif")).toThrow("found none in");
  });
});
