import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMask, encodeMask, type Mask } from "./mask.js";
import { maskIntersection, maskIou, measureMask } from "./overlap.js";

const size = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 }));
const bits = (pixels: number) =>
  fc.oneof(
    fc.uint8Array({ minLength: pixels, maxLength: pixels, max: 1 }),
    // Long runs, as objects have them.
    fc
      .tuple(fc.nat({ max: pixels }), fc.nat({ max: pixels }))
      .map(([from, to]) => new Uint8Array(pixels).fill(1, from, to)),
  );
const pair = size.chain(([height, width]) =>
  fc
    .tuple(bits(height * width), bits(height * width))
    .map(([a, b]) => [encodeMask(a, height, width), encodeMask(b, height, width)] as const),
);
const count = (flags: Uint8Array): number => flags.reduce((sum, flag) => sum + flag, 0);

describe("the overlap of two masks", () => {
  it("counts the pixels of both", () => {
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const [inA, inB] = [decodeMask(a), decodeMask(b)];
        const shared = count(inA.map((flag, i) => flag & inB[i]));
        const either = count(inA.map((flag, i) => flag | inB[i]));
        expect(maskIntersection(a, b)).toBe(shared);
        expect(maskIou(measureMask(a), measureMask(b))).toBe(either === 0 ? 0 : shared / either);
        expect(maskIou(measureMask(a), measureMask(b), true)).toBe(shared === 0 ? 0 : shared / count(inA));
      }),
    );
  });

  it("does not mind runs of no pixels", () => {
    const mask = (...counts: number[]): Mask => ({ height: 4, width: 2, counts: Uint32Array.from(counts) });
    expect(maskIntersection(mask(1, 2, 0, 0, 0, 3, 2, 0), mask(0, 1, 0, 4, 3))).toBe(4);
    expect(maskIntersection(mask(8), mask(0, 8))).toBe(0);
    expect(maskIntersection(mask(0, 8), mask(0, 8))).toBe(8);
  });

  it("is 0 with an empty mask, also in a crowd", () => {
    const [none, all] = [encodeMask([0, 0], 1, 2), encodeMask([1, 1], 1, 2)].map(measureMask);
    expect([maskIou(none, all), maskIou(none, all, true), maskIou(all, none, true), maskIou(none, none)]).toEqual([
      0, 0, 0, 0,
    ]);
  });
});
