import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { compareGolden, goldenPixels, goldenQueries } from "./goldens.js";

const outputs = {
  boxes: Float32Array.of(0.5, 0.5, 0.2, 0.2, 0.25, 0.75, 0.5, 0.5),
  logits: Float32Array.of(-2, 3, 1, -1),
};
const tolerance = { box_px: 0.1, score: 0.001 };

describe("golden inputs", () => {
  it("have the same bytes everywhere", () => {
    const pixels = goldenPixels(1, 64, 96);
    expect(pixels).toHaveLength(64 * 96 * 3);
    expect(createHash("sha256").update(pixels).digest("hex").slice(0, 16)).toMatchInlineSnapshot(`"5d496a5932dec661"`);
    expect(goldenPixels(2, 64, 96)).not.toEqual(pixels);
  });
});

describe("goldens", () => {
  it("hold the best queries, best first", () => {
    const [first, second] = goldenQueries(outputs);
    expect(first).toMatchObject({ class: 1, score: expect.closeTo(0.9526, 4) });
    expect(second.class).toBe(0);
    expect(second.box).toEqual([0.25, 0.75, 0.5, 0.5]);
  });

  it("hold for the outputs that they were made of, in any order of the queries", () => {
    const expected = goldenQueries(outputs);
    expect(compareGolden(expected, outputs, tolerance, [100, 200])).toEqual({ boxPx: 0, score: 0, holds: true });
    const swapped = {
      boxes: Float32Array.of(0.25, 0.75, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2),
      logits: Float32Array.of(1, -1, -2, 3),
    };
    expect(compareGolden(expected, swapped, tolerance, [100, 200]).holds).toBe(true);
  });

  it("hold the areas of masks where there are some", () => {
    const masks = { logits: Float32Array.of(1, 1, 1, -1, -1, -1, 2, -1), height: 2, width: 2 };
    const expected = goldenQueries({ ...outputs, masks });
    expect(expected.map(({ mask }) => mask)).toEqual([0.75, 0.25]);
    const within = { ...tolerance, mask: 0.1 };
    const compare = (logits: Float32Array) =>
      compareGolden(expected, { ...outputs, masks: { ...masks, logits } }, within, [100, 200]);
    expect(compare(masks.logits)).toEqual({ boxPx: 0, score: 0, mask: 0, holds: true });
    expect(compare(masks.logits.map((logit) => -logit))).toMatchObject({ mask: 0.5, holds: false });
    expect(compare(masks.logits.fill(Number.NaN)).holds).toBe(false);
    expect(compareGolden(expected, outputs, within, [100, 200]).holds).toBe(false);
  });

  it("give errors in pixels and scores, and do not hold beyond the tolerance or for NaN", () => {
    const expected = goldenQueries(outputs);
    const moved = { ...outputs, boxes: outputs.boxes.map((side) => side + 0.001) };
    const error = compareGolden(expected, moved, tolerance, [100, 200]);
    expect(error.boxPx).toBeCloseTo(0.2, 4);
    expect(error).toMatchObject({ score: 0, holds: false });
    const broken = { ...outputs, logits: outputs.logits.map(() => Number.NaN) };
    expect(compareGolden(expected, broken, tolerance, [100, 200]).holds).toBe(false);
  });
});
