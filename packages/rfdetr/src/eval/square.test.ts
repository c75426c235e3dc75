import { describe, expect, it } from "vitest";
import { pillowResize } from "../data/images/pillow-resize.js";
import { Rng } from "../support/random.js";
import { toSquare } from "./square.js";

const picture = (width: number, height: number): Uint8Array => {
  const rng = new Rng("picture", width * 10_000 + height);
  return Uint8Array.from({ length: width * height * 3 }, () => rng.integer(0, 255));
};

describe("toSquare", () => {
  it.each([
    [640, 480, 384],
    [37, 411, 64],
    [64, 50, 64],
    [50, 64, 64],
    [64, 64, 64],
    [1, 1, 8],
    [2, 1000, 3],
  ])("resizes %d × %d to %d with the bytes that the loader of training gives", (width, height, side) => {
    const data = picture(width, height);
    const square = toSquare({ data, width, height }, side);
    expect(square).toHaveLength(side * side * 3);
    expect(Buffer.compare(square as Uint8Array, pillowResize(data, width, height, side, side))).toBe(0);
  });

  it("leaves the picture as it is", () => {
    const data = picture(8, 8);
    const before = data.slice();
    const square = toSquare({ data, width: 8, height: 8 }, 8);
    square.fill(0);
    expect(data).toEqual(before);
  });
});
