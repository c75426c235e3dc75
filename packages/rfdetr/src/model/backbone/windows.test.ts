import { scope, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { partition, unpartition } from "./windows.js";

describe("window partition", () => {
  it("orders windows row by row in an image, and tokens row by row in a window", () => {
    const tokens = tensor(
      Float32Array.from({ length: 16 }, (_, i) => i),
      { shape: [1, 16, 1] },
    );
    expect(partition(tokens, 4, 4, 2).squeeze(-1).toList()).toEqual([
      [0, 1, 4, 5],
      [2, 3, 6, 7],
      [8, 9, 12, 13],
      [10, 11, 14, 15],
    ]);
  });

  it("is inverted by unpartition, for rectangles too", () => {
    const size = fc.integer({ min: 1, max: 3 });
    fc.assert(
      fc.property(size, size, size, size, (batch, windows, h, w) =>
        scope(() => {
          const [rows, columns] = [h * windows, w * windows];
          const tokens = tensor(
            Float32Array.from({ length: batch * rows * columns * 2 }, (_, i) => i),
            { shape: [batch, rows * columns, 2] },
          );
          const there = partition(tokens, rows, columns, windows);
          expect(there.shape).toEqual([batch * windows ** 2, h * w, 2]);
          expect(unpartition(there, rows, columns, windows).toList()).toEqual(tokens.toList());
        }),
      ),
      { numRuns: 25 },
    );
  });
});
