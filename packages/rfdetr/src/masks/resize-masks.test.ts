import { ops, randn, scope } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMask, maskArea } from "./mask.js";
import { resizeMasks } from "./resize-masks.js";

const side = (max: number) => fc.integer({ min: 1, max });

describe("masks of logits", () => {
  it("hold the pixels above 0 of logits that libtorch resizes, to larger and to smaller sizes", () => {
    fc.assert(
      fc.property(side(12), side(12), side(50), side(50), fc.constantFrom("float32", "float64"), (h, w, H, W, dtype) =>
        scope(() => {
          const logits = randn([2, h, w], { dtype });
          const resized = ops.upsampleBilinear2d(logits.unsqueeze(0), [H, W], false).flatten(0, 1);
          const values = logits.toArray() as Float32Array;
          const masks = resizeMasks(values, 2, [h, w], [H, W]);
          const expected = resized.toList() as number[][][];
          // Sums of four products of numbers around 1 differ in their last bits.
          const bound = dtype === "float64" ? 1e-14 : 1e-6;
          masks.forEach((mask, i) => {
            expect([mask.height, mask.width]).toEqual([H, W]);
            const bits = decodeMask(mask);
            expected[i].flat().forEach((value, at) => {
              if (Math.abs(value) > bound) expect(bits[at], `${at}: ${value}`).toBe(value > 0 ? 1 : 0);
            });
          });
        }),
      ),
      { numRuns: 200 },
    );
  });

  it("have runs of other lengths than 0, but for the first", () => {
    fc.assert(
      fc.property(side(6), side(6), side(9), side(9), (h, w, H, W) =>
        scope(() => {
          const [{ counts }] = resizeMasks(randn([h, w]).toArray() as Float32Array, 1, [h, w], [H, W]);
          expect(counts.reduce((sum, count) => sum + count)).toBe(H * W);
          expect([...counts.slice(1)].every((count) => count > 0)).toBe(true);
        }),
      ),
    );
  });

  it("are empty where no logit is above 0, also where some are no numbers", () => {
    const masks = resizeMasks(Float32Array.of(0, -1, Number.NaN, -0, -Infinity, -2), 1, [2, 3], [40, 60]);
    expect(masks.map(maskArea)).toEqual([0]);
    expect([...masks[0].counts]).toEqual([2400]);
  });

  it("cover the image where all logits are above 0", () => {
    expect([...resizeMasks(Float32Array.of(1, 2), 1, [1, 2], [3, 5])[0].counts]).toEqual([0, 15]);
  });
});
