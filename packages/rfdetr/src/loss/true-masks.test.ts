import { scope, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMask, encodeMask } from "../masks/mask.js";
import { numbers, rectangle, target } from "../testing/mask-predictions.js";
import { TrueMasks } from "./true-masks.js";

describe("TrueMasks", () => {
  const mask = fc
    .tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }))
    .chain(([height, width]) =>
      fc
        .array(fc.boolean(), { minLength: height * width, maxLength: height * width })
        .map((bits) => encodeMask(bits.map(Number), height, width)),
    );

  it("have at the centre of each pixel its bit, whatever sizes the masks of a batch have", () => {
    fc.assert(
      fc.property(fc.array(fc.array(mask, { maxLength: 3 }), { minLength: 1, maxLength: 3 }), (images) =>
        scope(() => {
          const truth = new TrueMasks(
            images.map((masks, i) => target(i, masks)),
            "cpu",
          );
          images.forEach((masks, image) => {
            masks.forEach((own, k) => {
              const centres = Array.from({ length: own.height * own.width }, (_, i) => [
                ((i % own.width) + 0.5) / own.width,
                (Math.floor(i / own.width) + 0.5) / own.height,
              ]);
              const points = tensor([centres], { dtype: "float32" });
              expect(numbers(truth.sample(Int32Array.of(image), Int32Array.of(k), points))).toEqual([
                ...decodeMask(own),
              ]);
            });
          });
        }),
      ),
      { numRuns: 100 },
    );
  });

  it("have the outer pixels at the edge of the image", () => {
    const truth = new TrueMasks([target(0, [encodeMask([1, 0, 0, 1], 2, 2)])], "cpu");
    const corners = tensor(
      [
        [
          [0, 0],
          [0.9999999, 0],
          [0, 0.9999999],
          [0.9999999, 0.9999999],
        ],
      ],
      { dtype: "float32" },
    );
    expect(numbers(truth.sample(Int32Array.of(0), Int32Array.of(0), corners))).toEqual([1, 0, 0, 1]);
  });

  it("name the image whose masks are missing", () => {
    const { masks: _, ...without } = target(7, [rectangle(4, 4, [0, 0, 2, 2])]);
    expect(() => new TrueMasks([target(1, []), without], "cpu")).toThrow(/Expected 1 masks in image 7 but received 0/);
  });
});
