import { noGrad, ops } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { imagesToTensor, resizeImages } from "../../model/images/preprocess.js";
import { Rng } from "../../support/random.js";
import { interpolate } from "./interpolate.js";

describe("interpolate", () => {
  it.each([
    [640, 480, 384, 384],
    [500, 333, 256, 320],
    [37, 411, 64, 64],
    [64, 50, 64, 64],
    [1, 1, 8, 8],
    [2, 1000, 3, 5],
  ])("resizes %d × %d to %d × %d as libtorch does, up to a rounding of float32", (width, height, toWidth, toHeight) => {
    const rng = new Rng("picture", width * 10_000 + height);
    const data = Uint8Array.from({ length: width * height * 3 }, () => rng.integer(0, 255));
    const expected = noGrad(() => {
      const resized = resizeImages(imagesToTensor(data, 1, height, width), toHeight, toWidth);
      return ops.contiguous(resized.permute(0, 2, 3, 1)).toArray() as Float32Array;
    });
    const found = interpolate(data, width, height, toWidth, toHeight);
    expect(found).toHaveLength(toHeight * toWidth * 3);
    const worst = found.reduce((most, value, i) => Math.max(most, Math.abs(value - expected[i])), 0);
    expect(worst).toBeLessThan(1.2e-7);
  });
});
