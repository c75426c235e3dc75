import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { joinPolygons, maskPolygons } from "./contours.js";
import { decodeMask, encodeMask, type Mask } from "./mask.js";
import { polygonMask } from "./polygon.js";
import { placeMask } from "./segments.js";

const maskOf = (...rows: string[]): Mask =>
  encodeMask(
    [...rows.join("")].map((letter) => (letter === "#" ? 1 : 0)),
    rows.length,
    rows[0].length,
  );

const anyMask = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([height, width]) =>
    fc
      .uint8Array({ minLength: height * width, maxLength: height * width, max: 1 })
      .map((bits) => encodeMask(bits, height, width)),
  );

/** Pixels whose middle has an odd number of edges at its right (even-odd), or that polygons go around (nonzero). */
function fill(polygons: readonly Float64Array[], { height, width }: Mask, rule: "even-odd" | "nonzero"): Uint8Array {
  const bits = new Uint8Array(height * width);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      let [crossed, around] = [0, 0];
      for (const polygon of polygons)
        for (let i = 0; i < polygon.length; i += 2) {
          const [x1, y1] = polygon.subarray(i, i + 2);
          const [x2, y2] = [polygon[(i + 2) % polygon.length], polygon[(i + 3) % polygon.length]];
          if (y1 > y + 0.5 === y2 > y + 0.5) continue;
          if (x1 + ((y + 0.5 - y1) / (y2 - y1)) * (x2 - x1) <= x + 0.5) continue;
          crossed++;
          around += y2 > y1 ? 1 : -1;
        }
      bits[y * width + x] = Number(rule === "nonzero" ? around !== 0 : crossed % 2 === 1);
    }
  return bits;
}

/** Above 0 clockwise on the screen, below 0 anticlockwise. */
function signedArea(polygon: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < polygon.length; i += 2) {
    const [x2, y2] = [polygon[(i + 2) % polygon.length], polygon[(i + 3) % polygon.length]];
    sum += polygon[i] * y2 - x2 * polygon[i + 1];
  }
  return sum / 2;
}

describe("maskPolygons", () => {
  it("goes around each part, with corners only", () => {
    expect(maskPolygons(maskOf("....", ".##.", ".##.")).map((each) => [...each])).toEqual([[3, 1, 3, 3, 1, 3, 1, 1]]);
    expect(maskPolygons(maskOf("#.#")).length).toBe(2);
    expect(maskPolygons(maskOf("#")).map((each) => [...each])).toEqual([[1, 0, 1, 1, 0, 1, 0, 0]]);
  });

  it("goes around holes the other way", () => {
    const [around, hole] = maskPolygons(maskOf("###", "#.#", "###"));
    expect([signedArea(around), signedArea(hole)]).toEqual([9, -1]);
  });

  it("takes pixels that touch at a corner as two parts", () => {
    expect(maskPolygons(maskOf("#.", ".#")).map(signedArea)).toEqual([1, 1]);
  });

  it("has nothing to go around in an empty mask", () => {
    expect(maskPolygons(maskOf("..", ".."))).toEqual([]);
  });

  it("gives the mask again when its polygons are filled, by both rules", () => {
    fc.assert(
      fc.property(anyMask, (mask) => {
        const polygons = maskPolygons(mask);
        for (const rule of ["even-odd", "nonzero"] as const)
          expect(fill(polygons, mask, rule)).toEqual(decodeMask(mask));
      }),
    );
  });
});

describe("the joined polygon of a mask", () => {
  it("leaves one polygon as it is", () => {
    const [only] = maskPolygons(maskOf(".#"));
    expect(joinPolygons([only])).toEqual(only);
  });

  it("gives the mask again through the fractions of a YOLO label and the reader of data sets", () => {
    fc.assert(
      fc.property(anyMask, fc.integer({ min: 0, max: 4000 }), (small, more) => {
        const mask = placeMask(small, more, more, small.height + 2 * more, small.width + 2 * more);
        const polygons = maskPolygons(mask);
        fc.pre(polygons.length > 0);
        const sizes = [mask.width, mask.height];
        const read = joinPolygons(polygons).map((value, i) => Number((value / sizes[i % 2]).toFixed(6)) * sizes[i % 2]);
        expect(polygonMask(read, mask.height, mask.width)).toEqual(mask);
      }),
      { numRuns: 30 },
    );
  });

  it("makes one polygon, with which filling gives the mask too", () => {
    fc.assert(
      fc.property(anyMask, (mask) => {
        const polygons = maskPolygons(mask);
        fc.pre(polygons.length > 0);
        for (const rule of ["even-odd", "nonzero"] as const)
          expect(fill([joinPolygons(polygons)], mask, rule)).toEqual(decodeMask(mask));
      }),
    );
  });
});
