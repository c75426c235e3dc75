import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMask, encodeMask, type Mask } from "./mask.js";
import { maskWindow, placeMask, resizeMask } from "./segments.js";

const side = fc.integer({ min: 1, max: 8 });
const gap = fc.nat({ max: 3 });
const anyMask = fc
  .tuple(side, side)
  .chain(([height, width]) =>
    fc
      .uint8Array({ minLength: height * width, maxLength: height * width, max: 1 })
      .map((bits) => encodeMask(bits, height, width)),
  );

/** The pixels of a mask at another size, one by one. */
function sampled(mask: Mask, height: number, width: number): Uint8Array {
  const bits = decodeMask(mask);
  return Uint8Array.from({ length: height * width }, (_, at) => {
    const [x, y] = [at % width, Math.floor(at / width)];
    const column = Math.floor(((x + 0.5) * mask.width) / width);
    return bits[Math.floor(((y + 0.5) * mask.height) / height) * mask.width + column];
  });
}

describe("placeMask", () => {
  it("moves the object into a larger image", () => {
    fc.assert(
      fc.property(anyMask, gap, gap, gap, gap, (mask, left, top, right, bottom) => {
        const [height, width] = [top + mask.height + bottom, left + mask.width + right];
        const whole = new Uint8Array(height * width);
        decodeMask(mask).forEach((bit, at) => {
          whole[(top + Math.floor(at / mask.width)) * width + left + (at % mask.width)] = bit;
        });
        expect(placeMask(mask, left, top, height, width)).toEqual(encodeMask(whole, height, width));
      }),
    );
  });
});

describe("resizeMask", () => {
  it("takes the pixel at the same place", () => {
    fc.assert(
      fc.property(anyMask, side, side, (mask, height, width) => {
        expect(decodeMask(resizeMask(mask, height, width))).toEqual(sampled(mask, height, width));
      }),
    );
  });
});

describe("maskWindow", () => {
  it("has the bits of a part", () => {
    fc.assert(
      fc.property(anyMask, side, side, fc.nat(), fc.nat(), (mask, height, width, a, b) => {
        const [left, top] = [a % width, b % height];
        const bits = sampled(mask, height, width);
        const expected = [];
        for (let y = top; y < height; y++) expected.push(...bits.subarray(y * width + left, (y + 1) * width));
        expect([...maskWindow(mask, { height, width }, [left, top, width, height])]).toEqual(expected);
      }),
    );
  });
});
