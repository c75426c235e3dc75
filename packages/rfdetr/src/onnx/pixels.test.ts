import { scope } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { imagesToTensor, normalise_ } from "../model/images/preprocess.js";
import { imageDeviation, imageMean } from "../support/image-statistics.js";
import { Rng } from "../support/random.js";
import { toPlanes } from "./pixels.js";

describe("toPlanes", () => {
  const rng = new Rng("planes", 1);
  const bytes = () => Uint8Array.from({ length: 5 * 7 * 3 }, () => rng.integer(0, 255));
  const floats = () => Float32Array.from({ length: 5 * 7 * 3 }, () => rng.next());
  it.each([
    ["bytes", [bytes(), bytes()]],
    ["floats", [floats(), floats()]],
  ])("normalises %s to the bits that libtorch gives", (_, images) => {
    const joined =
      images[0] instanceof Uint8Array
        ? Uint8Array.of(...images[0], ...images[1])
        : Float32Array.of(...images[0], ...images[1]);
    const expected = scope(() => normalise_(imagesToTensor(joined, 2, 5, 7)).toArray());
    expect(toPlanes(images, { mean: [...imageMean], std: [...imageDeviation] })).toEqual(expected);
  });
});
