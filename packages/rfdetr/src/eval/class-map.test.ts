import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { openDataset, synthesize } from "../data/index.js";
import { cocoClasses } from "../model/coco-classes.js";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { saveWeights } from "../weights/weights.js";
import { classMap, relabel } from "./class-map.js";
import { evaluateWeights } from "./evaluate-weights.js";

describe("classes of weights and data", () => {
  it("meet by name, in any order, with classes to spare", () => {
    expect([...(classMap(["a", "b"], ["a", "b"]) ?? [])]).toEqual([0, 1]);
    expect([...(classMap(["unused", "b", "c", "a"], ["a", "b"]) ?? [])]).toEqual([-1, 1, -1, 0]);
    expect(classMap(["a"], ["a", "b"])).toBe(null);
    expect(classMap(["a", "a"], ["a"])).toBe(null);
    const coco = cocoClasses.filter((name) => name !== "unused");
    const map = classMap(cocoClasses, coco) as Int32Array;
    expect([coco.length, map[1], map[90], map[12]]).toEqual([80, 0, 79, -1]);
  });

  it("leave out what the data does not have", () => {
    const scored = {
      boxes: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8),
      scores: Float32Array.of(0.5, 0.25),
      labels: Int32Array.of(2, 1),
    };
    expect(relabel(scored, Int32Array.of(-1, 0, -1))).toEqual({
      boxes: Float32Array.of(5, 6, 7, 8),
      scores: Float32Array.of(0.25),
      labels: Int32Array.of(0),
    });
    // The last logit is of no class.
    expect(relabel(scored, Int32Array.of(0, 1)).labels).toEqual(Int32Array.of(1));
  });

  it("let weights be scored on data with some of their classes", async () => {
    const folder = mkdtempSync(join(tmpdir(), "classes-"));
    const data = join(folder, "data");
    await synthesize(data, { images: 12, size: 96, classes: 2, seed: 1 });
    const [first, second] = openDataset(data, "train").classNames;
    const config = resolveModel("tiny", { numClasses: 4 });
    manualSeed(1);
    const model = new RFDETRModel(config);
    const options = { data, split: "valid", batch: 2, precision: "32-true", device: "cpu" } as const;
    const path = join(folder, "w.safetensors");
    saveWeights(path, model.stateDict(), { classNames: ["unused", second, "other", first], config });
    const { summary, evaluator } = await evaluateWeights(path, options);
    expect(evaluator.images).toBe(2);
    expect(summary.per_class.map((one) => one.class_name)).toEqual([first, second]);
    saveWeights(path, model.stateDict(), { classNames: ["unused", second, "other", "more"], config });
    await expect(evaluateWeights(path, options)).rejects.toThrow(
      "Expected weights that were trained on the classes of",
    );
  });
});
