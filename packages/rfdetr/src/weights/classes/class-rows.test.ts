import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, type Tensor } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { loadInto, saveWeights } from "../weights.js";
import { classRows, describeRows } from "./class-rows.js";

const folder = mkdtempSync(join(tmpdir(), "class-rows-"));
afterAll(() => rmSync(folder, { recursive: true }));
const path = join(folder, "start.safetensors");

const rowsOf = (stored: string[], own: string[], counts = [stored.length, own.length]): (number | null)[] =>
  classRows({ classNames: stored, numClasses: counts[0] }, { classNames: own, numClasses: counts[1] }).map(
    ({ row }) => row,
  );
const lineOf = (stored: string[], own: string[]): string =>
  describeRows(
    classRows({ classNames: stored, numClasses: stored.length }, { classNames: own, numClasses: own.length }),
    { stored, own },
  );

describe("the row that each class starts from", () => {
  it("is that of its name, in whatever order; new classes have none", () => {
    expect(rowsOf(["dog", "cat"], ["cat", "dog"])).toEqual([1, 0]);
    expect(rowsOf(["dog", "cat"], ["bird", "dog", "cat"])).toEqual([null, 0, 1]);
    expect(rowsOf(["dog", "cat"], ["car", "tree"])).toEqual([null, null]);
    expect(lineOf(["dog", "cat"], ["bird", "cat"])).toBe(
      "Class heads by name: cat from row 1; new, from the prior: bird",
    );
    expect(lineOf(["dog", "cat"], ["car", "tree"])).toBe(
      "Class heads: the weights know none of the 2 classes by name, so all of them start from the prior",
    );
  });

  it("is found among equal names by their order", () => {
    expect(rowsOf(["same", "other", "same"], ["same", "same", "same"])).toEqual([0, 2, null]);
    expect(lineOf(["same", "same"], ["same", "same"])).toMatch(/equal names are joined in their order$/);
  });

  it("is that of its number where one side has no names and as many classes, and said", () => {
    expect(rowsOf(["class 0", "class 1"], ["dog", "cat"])).toEqual([0, 1]);
    expect(lineOf(["class 0", "class 1"], ["dog", "cat"])).toBe(
      "Class heads: the weights have no names of classes, so class i starts from row i",
    );
    expect(rowsOf(["class 0", "class 1"], ["dog", "cat", "bird"])).toEqual([null, null, null]);
    expect(lineOf(["dog"], ["class 0"])).toBe(
      "Class heads: the data have no names of classes, so class i starts from row i",
    );
  });
});

describe("fine-tuning", () => {
  manualSeed(0);
  const stored = new RFDETRModel(resolveModel("tiny", { numClasses: 2 }));
  saveWeights(path, stored.stateDict(), { classNames: ["dog", "cat"], config: stored.config });
  const heads = ["class_embed", ...[0, 1, 2].map((group) => `transformer.enc_out_class_embed.${group}`)];
  const rows = (model: RFDETRModel, key: string): unknown[] => (model.stateDict().get(key) as Tensor).toList() as never;

  /** A new model of these classes, its heads before and after loading. */
  function load(classNames: string[]) {
    const model = new RFDETRModel(resolveModel("tiny", { numClasses: classNames.length }));
    const keys = heads.flatMap((head) => [`${head}.weight`, `${head}.bias`]);
    const before = new Map(keys.map((key) => [key, rows(model, key)]));
    return { keys, before, loaded: loadInto(model, path, { classNames }), after: (key: string) => rows(model, key) };
  }

  it("takes the rows of every class head by name, the background's last, and the prior for new classes", () => {
    const { keys, before, after, loaded } = load(["bird", "cat", "dog"]);
    for (const key of keys) {
      const [dog, cat, background] = rows(stored, key);
      expect(after(key), key).toEqual([before.get(key)?.[0], cat, dog, background]);
    }
    expect(after("class_embed.bias")).toHaveProperty("0", Math.fround(-Math.log(99)));
    expect(loaded.classRows).toEqual([
      { name: "bird", row: null },
      { name: "cat", row: 1 },
      { name: "dog", row: 0 },
    ]);
    expect(loaded.lines).toEqual(["Class heads by name: cat from row 1, dog from row 0; new, from the prior: bird"]);
  });

  it("takes no row of another class", () => {
    const { keys, before, after } = load(["car", "tree"]);
    for (const key of keys) expect(after(key).slice(0, 2), key).toEqual(before.get(key)?.slice(0, 2));
  });
});
