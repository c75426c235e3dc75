import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fromCocoRuns, toCocoRuns } from "./coco-runs.js";
import { gatherMask, invertMask, mirrorMask, nearestPixels, transposeMask } from "./gather-mask.js";
import { decodeMask, encodeMask, type Mask, maskArea, maskBox, uniteMasks } from "./mask.js";
import { boxOutline, hasPixel, outlineMask } from "./outline.js";

interface Golden {
  size: [height: number, width: number];
  counts: string;
  area: number;
  box: [x: number, y: number, width: number, height: number];
}
/** From pycocotools 2.0.11: `tools/reference/masks_goldens.py`. */
const goldens: {
  polygons: (Golden & { polygons: number[][] })[];
  bits: (Golden & { bits: string })[];
  large: Golden;
} = JSON.parse(readFileSync(new URL("fixtures/masks.json", import.meta.url), "utf8"));

const cocoBox = (mask: Mask): number[] => {
  const [left, top, right, bottom] = maskBox(mask) ?? [0, 0, 0, 0];
  return [left, top, right - left, bottom - top];
};
const bitsOf = (text: string): Uint8Array => Uint8Array.from(text, Number);

/** An image of bits of any size up to 12 × 12. */
const anyBits = fc.tuple(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 12 })).chain(([height, width]) =>
  fc.record({
    height: fc.constant(height),
    width: fc.constant(width),
    bits: fc.array(fc.constantFrom(0, 1), { minLength: height * width, maxLength: height * width }),
  }),
);

describe("a mask", () => {
  it("has the runs, the area and the box of pycocotools", () => {
    for (const { bits, size, counts, area, box } of goldens.bits) {
      const mask = encodeMask(bitsOf(bits), ...size);
      expect(toCocoRuns(mask)).toEqual({ size, counts });
      expect(maskArea(mask)).toBe(area);
      expect(cocoBox(mask)).toEqual(box);
      expect(decodeMask(fromCocoRuns({ size, counts }) as Mask)).toEqual(bitsOf(bits));
    }
  });

  it("keeps its bits through runs and through COCO's text", () => {
    fc.assert(
      fc.property(anyBits, ({ height, width, bits }) => {
        const mask = encodeMask(bits, height, width);
        expect(Array.from(decodeMask(mask))).toEqual(bits);
        expect(fromCocoRuns(toCocoRuns(mask))).toEqual(mask);
        expect(maskArea(mask)).toBe(bits.filter((bit) => bit === 1).length);
      }),
    );
  });

  it("is read from counts as numbers", () => {
    expect(fromCocoRuns({ size: [2, 2], counts: [1, 2, 1] })).toEqual({
      height: 2,
      width: 2,
      counts: Uint32Array.of(1, 2, 1),
    });
  });

  it("has the text of pycocotools where runs are long", () => {
    const { size, counts, area, box } = goldens.large;
    const mask = fromCocoRuns({ size, counts }) as Mask;
    expect(toCocoRuns(mask)).toEqual({ size, counts });
    expect(encodeMask(decodeMask(mask), ...size)).toEqual(mask);
    expect([maskArea(mask), cocoBox(mask)]).toEqual([area, box]);
  });

  it("keeps runs of 32 bits in COCO's text, and differences between them", () => {
    for (const counts of [[2500000000], [0, 1, 2499999998, 1], [1, 2400000000, 1, 2, 99999996]]) {
      const mask = { height: 50000, width: 50000, counts: Uint32Array.from(counts) };
      expect(fromCocoRuns(toCocoRuns(mask))).toEqual(mask);
    }
  });

  it.each([
    ["nothing", null],
    ["no size", { counts: [4] }],
    ["a side of no pixels", { size: [0, 4], counts: [0] }],
    ["counts that do not fill the image", { size: [2, 2], counts: [3] }],
    ["counts that are more than the image", { size: [2, 2], counts: [3, 2] }],
    ["more pixels than counts of 32 bits have", { size: [1e5, 1e5], counts: [1e10] }],
    ["a negative count", { size: [2, 2], counts: [5, -1] }],
    ["a text that is no encoding", { size: [2, 2], counts: "\u0001" }],
    ["a text that ends in a number", { size: [2, 2], counts: "`" }],
  ])("is not read from %s", (_, segmentation) => {
    expect(fromCocoRuns(segmentation)).toBeNull();
  });

  it("has no box if it is empty", () => {
    expect(maskBox(encodeMask([0, 0], 1, 2))).toBeNull();
  });
});

describe("uniteMasks", () => {
  it("gives the pixels that are in any of the masks", () => {
    fc.assert(
      fc.property(anyBits, fc.array(fc.infiniteStream(fc.constantFrom(0, 1)), { maxLength: 3 }), (first, streams) => {
        const { height, width } = first;
        const all = [first.bits, ...streams.map((stream) => [...stream.take(height * width)])];
        const united = uniteMasks(all.map((bits) => encodeMask(bits, height, width)));
        const either = first.bits.map((_, i) => (all.some((bits) => bits[i] === 1) ? 1 : 0));
        expect(united).toEqual(encodeMask(either, height, width));
      }),
    );
  });

  it("refuses masks of several sizes", () => {
    expect(() => uniteMasks([encodeMask([0, 0], 1, 2), encodeMask([0, 0], 2, 1)])).toThrow(
      "Expected masks of one size but received 1×2 and 2×1 pixels",
    );
  });
});

describe("gatherMask", () => {
  it("takes each pixel from the row and the column that it is told", () => {
    const columns = fc.infiniteStream(fc.nat());
    fc.assert(
      fc.property(
        anyBits,
        columns,
        fc.array(fc.nat(), { minLength: 1, maxLength: 9 }),
        fc.boolean(),
        (one, xs, ys, down) => {
          const { height, width, bits } = one;
          const across = Int32Array.from([...xs.take(7)], (x) => x % width);
          const rows = Int32Array.from(ys, (y) => y % height).sort();
          if (!down) rows.reverse();
          const expected = Array.from(rows, (y) => Array.from(across, (x) => bits[y * width + x])).flat();
          const mask = gatherMask(encodeMask(bits, height, width), rows, across);
          expect(mask).toEqual(encodeMask(expected, rows.length, across.length));
        },
      ),
    );
  });

  it("flips and transposes", () => {
    const mask = encodeMask([1, 1, 0, 0, 1, 0], 2, 3);
    expect(mirrorMask(mask)).toEqual(encodeMask([0, 1, 1, 0, 1, 0], 2, 3));
    expect(invertMask(mask)).toEqual(encodeMask([0, 1, 0, 1, 1, 0], 2, 3));
    expect(transposeMask(mask)).toEqual(encodeMask([1, 0, 1, 1, 0, 0], 3, 2));
  });

  it("finds the nearest pixels in float32, as PyTorch does", () => {
    expect([...nearestPixels(4, 6)]).toEqual([0, 0, 1, 2, 2, 3]);
    // 90 · 600 / 432 is 125; the quotient in float32 is a little less.
    expect(nearestPixels(600, 432)[90]).toBe(124);
    expect(nearestPixels(1, 3)).toEqual(Int32Array.of(0, 0, 0));
  });
});

describe("outlineMask", () => {
  it("fills polygons as pycocotools does", () => {
    for (const { polygons, size, counts } of goldens.polygons) {
      const outline = { polygons: polygons.map((points) => Float64Array.from(points)) };
      expect(toCocoRuns(outlineMask(outline, ...size)), JSON.stringify(polygons)).toEqual({ size, counts });
    }
  });

  it("fills each image with runs, whatever the polygons are", () => {
    const points = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { maxLength: 20 });
    const near = fc.array(fc.double({ min: -9, max: 20, noNaN: true }), { minLength: 6, maxLength: 20 });
    fc.assert(
      fc.property(fc.array(fc.oneof(points, near), { maxLength: 3 }), (polygons) => {
        const mask = outlineMask({ polygons: polygons.map((each) => Float64Array.from(each)) }, 9, 11);
        expect(mask.counts.reduce((sum, count) => sum + count, 0)).toBe(99);
        expect(encodeMask(decodeMask(mask), 9, 11)).toEqual(mask);
      }),
    );
  });

  it("has a pixel where a look at few columns says so", () => {
    const corner = fc.double({ min: -3, max: 14, noNaN: true });
    const near = fc.array(corner, { minLength: 6, maxLength: 12 });
    const tiny = fc.tuple(corner, corner, near).map(([x, y, all]) => all.map((c, i) => c / 20 + (i % 2 ? y : x)));
    const twice = near.map((all) => [...all.slice(0, 6), ...all.slice(0, 6)]);
    const far = near.map((all) => all.map((c) => c * 1e12));
    fc.assert(
      fc.property(fc.array(fc.oneof(near, tiny, twice, far), { maxLength: 3 }), (polygons) => {
        const outline = { polygons: polygons.map((each) => Float64Array.from(each)) };
        expect(hasPixel(outline, 9, 11)).toBe(maskArea(outlineMask(outline, 9, 11)) > 0);
      }),
      { numRuns: 2000 },
    );
  });

  it("gives an empty mask where there is no polygon, or one of no points", () => {
    for (const polygons of [[], [new Float64Array()]])
      expect(outlineMask({ polygons }, 3, 4)).toEqual(encodeMask(new Uint8Array(12), 3, 4));
  });

  it("fills the pixels of a box", () => {
    expect(maskBox(outlineMask(boxOutline([1, 2, 4, 7]), 9, 9))).toEqual([1, 2, 4, 7]);
    expect(maskArea(outlineMask(boxOutline([1, 2, 4, 7]), 9, 9))).toBe(15);
  });

  it("takes a mask as it is", () => {
    const mask = encodeMask([0, 1], 1, 2);
    expect(outlineMask({ mask }, 1, 2)).toBe(mask);
  });
});
