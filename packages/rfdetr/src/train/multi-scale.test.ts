import { describe, expect, it } from "vitest";
import { scaleOfStep, trainingScales } from "./multi-scale.js";

describe("multi-scale training", () => {
  it("offers whole blocks around the resolution", () => {
    expect(trainingScales(384, 16, 2, true)).toEqual([224, 256, 288, 320, 352, 384, 416, 448, 480, 512, 544]);
    expect(trainingScales(384, 16, 2, false)).toEqual([288, 320, 352, 384, 416, 448, 480, 512]);
    expect(trainingScales(560, 14, 4, true)).toEqual([280, 336, 392, 448, 504, 560, 616, 672, 728, 784, 840]);
  });

  it("never goes below two blocks", () => {
    expect(trainingScales(64, 16, 2, true)).toEqual([64, 96, 128, 160, 192, 224]);
  });

  it("picks by step number alone", () => {
    const scales = trainingScales(384, 16, 2, true);
    expect(scaleOfStep(7, scales)).toBe(scaleOfStep(7, scales));
    expect(new Set(Array.from({ length: 200 }, (_, step) => scaleOfStep(step, scales))).size).toBe(scales.length);
  });
});
