import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { resolveModel } from "../../model/variants.js";
import { scaleOfStep, trainingScales } from "./multi-scale.js";

const nano = { resolution: 384, patchSize: 16, numWindows: 2 };
const base = { resolution: 560, patchSize: 14, numWindows: 4 };

describe("multi-scale training", () => {
  it("offers whole blocks around the resolution", () => {
    expect(trainingScales(nano, { expanded: true })).toEqual([224, 256, 288, 320, 352, 384, 416, 448, 480, 512, 544]);
    expect(trainingScales(nano, { expanded: false })).toEqual([288, 320, 352, 384, 416, 448, 480, 512]);
    expect(trainingScales(base, { expanded: true })).toEqual([280, 336, 392, 448, 504, 560, 616, 672, 728, 784, 840]);
  });

  it("offers the lists of the package for every variant", () => {
    const { scales } = JSON.parse(
      readFileSync(new URL("../../settings/fixtures/package-settings.json", import.meta.url), "utf8"),
    ) as {
      scales: Record<string, Record<"true" | "false", number[]>>;
    };
    for (const [variant, lists] of Object.entries(scales)) {
      const config = resolveModel(variant);
      for (const expanded of [false, true]) expect(trainingScales(config, { expanded })).toEqual(lists[`${expanded}`]);
    }
  });

  it("scales the shorter side of a rectangle by the same blocks, and the longer one with it", () => {
    const sizes = trainingScales({ ...nano, resolution: [384, 640] }, { expanded: true });
    expect(sizes.slice(0, 3)).toEqual([
      [224, 384],
      [256, 416],
      [288, 480],
    ]);
    expect(sizes).toHaveLength(11);
    expect(sizes[5]).toEqual([384, 640]);
    expect(trainingScales({ ...nano, resolution: [640, 384] }, { expanded: true })[0]).toEqual([384, 224]);
  });

  it("never goes below two blocks", () => {
    expect(trainingScales({ ...nano, resolution: 64 }, { expanded: true })).toEqual([64, 96, 128, 160, 192, 224]);
  });

  it("picks by step number alone", () => {
    const scales = trainingScales(nano, { expanded: true });
    expect(scaleOfStep(7, scales)).toBe(scaleOfStep(7, scales));
    expect(new Set(Array.from({ length: 200 }, (_, step) => scaleOfStep(step, scales))).size).toBe(scales.length);
  });
});
