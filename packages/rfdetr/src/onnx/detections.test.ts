import { scope, tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { postprocess, toArrays } from "../model/images/postprocess.js";
import { Rng } from "../support/random.js";
import { rowNames, selectBoxes } from "./detections.js";

describe("selectBoxes", () => {
  it.each([
    [300, 91, 300],
    [30, 3, 60],
    [4, 2, 100],
  ])("selects of %d queries and %d rows the %d boxes that libtorch selects", (queries, rows, numSelect) => {
    const rng = new Rng("outputs", queries);
    const random = (): number => rng.uniform(-0.5, 1.5);
    const boxes = Float32Array.from({ length: queries * 4 }, random);
    // Of few values, so that many scores are equal.
    const logits = Float32Array.from({ length: queries * rows }, () => Math.round(random() * 40) / 8);
    const expected = scope(() => {
      const predBoxes = tensor(boxes, { shape: [1, queries, 4] });
      const predLogits = tensor(logits, { shape: [1, queries, rows] });
      return toArrays(postprocess({ predBoxes, predLogits }, [[480, 640]], numSelect)[0]);
    });
    const found = selectBoxes({ boxes, logits }, { width: 640, height: 480 }, numSelect);
    expect(found.labels).toEqual(expected.labels);
    expect(found.boxes).toEqual(expected.boxes);
    expect(Math.max(...found.scores.map((score, i) => Math.abs(score - expected.scores[i])))).toBeLessThan(1.2e-7);
  });
});

describe("rowNames", () => {
  it("names the rows of the classes, and the row without a class", () => {
    expect(rowNames(["cat", "dog"], 3)).toEqual(["cat", "dog", "__background__"]);
    expect(rowNames(["cat"], 3)).toEqual(["cat", "class 1", "__background__"]);
  });
});
