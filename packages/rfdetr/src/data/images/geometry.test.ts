import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { outlineMask } from "../../masks/outline.js";
import { Rng } from "../../support/random.js";
import { affine } from "../augment/affine.js";
import { augment } from "../augment/config.js";
import { augmentPresets } from "../augment/presets.js";
import { epochOrder } from "../loader/sampler.js";
import {
  drawJitter,
  flipHorizontally,
  flipVertically,
  type Jitter,
  resize,
  resizeAndCrop,
  type Sample,
  scaleJitter,
} from "./geometry.js";
import { pillowResize } from "./pillow-resize.js";

/** The image that the goldens were made of. */
function pixels(width: number, height: number): Uint8Array {
  let state = 12345n;
  return Uint8Array.from({ length: width * height * 3 }, () => {
    state = (1103515245n * state + 12345n) % 2n ** 31n;
    return Number(state >> 23n);
  });
}

const golden = JSON.parse(readFileSync(new URL("./fixtures/pillow-resize.json", import.meta.url), "utf8")) as {
  cases: { width: number; height: number; toWidth: number; toHeight: number; bytes: string }[];
};

describe("resize", () => {
  it.each(golden.cases)(
    "$width×$height to $toWidth×$toHeight gives Pillow's bytes",
    ({ width, height, toWidth, toHeight, bytes }) => {
      expect(
        Buffer.from(pillowResize(pixels(width, height), width, height, toWidth, toHeight)).toString("base64"),
      ).toBe(bytes);
    },
  );
});

/** From the package's transforms: `tools/reference/mask_transforms_goldens.py`. */
const masked = JSON.parse(readFileSync(new URL("./fixtures/mask-transforms.json", import.meta.url), "utf8")) as {
  width: number;
  height: number;
  polygons: number[][];
  boxes: number[][];
  resized: [width: number, height: number] | null;
  window: [left: number, top: number, side: number];
  side: number;
  flip: number;
  labels: number[];
  masks: string[];
}[];

describe("masks", () => {
  it.each(masked)(
    "of $width×$height pixels, resized to $resized, cut and resized to $side, are the package's",
    (one) => {
      const { width, height, polygons, boxes, resized, side, flip } = one;
      let made: Sample = {
        data: new Uint8Array(width * height * 3),
        width,
        height,
        boxes: Float32Array.from(boxes.flat()),
        labels: Int32Array.from(boxes, (_, i) => i),
        masks: polygons.map((points) => outlineMask({ polygons: [Float64Array.from(points)] }, height, width)),
      };
      if (resized !== null) {
        const [left, top, cut] = one.window;
        made = resizeAndCrop(made, ...resized, { left, top, width: cut, height: cut });
      }
      made = resize(made, side, side);
      if (flip === 1) made = flipHorizontally(made);
      expect([...made.labels]).toEqual(one.labels);
      expect(made.masks?.map((mask) => toCocoRuns(mask))).toEqual(
        one.masks.map((counts) => ({ size: [side, side], counts })),
      );
    },
  );
});

const sample: fc.Arbitrary<Sample> = fc
  .record({
    width: fc.integer({ min: 4, max: 40 }),
    height: fc.integer({ min: 4, max: 40 }),
    corners: fc.array(
      fc.tuple(
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
        fc.double({ min: 0.05, max: 1, noNaN: true }),
      ),
      { maxLength: 5 },
    ),
  })
  .map(({ width, height, corners }) => {
    const boxes = corners.map(([x, y, w, h]) => [
      x * width * (1 - w),
      y * height * (1 - h),
      x * width * (1 - w) + w * width,
      y * height * (1 - h) + h * height,
    ]);
    return {
      data: pixels(width, height),
      width,
      height,
      boxes: Float32Array.from(boxes.flat()),
      labels: Int32Array.from(corners, (_, i) => i),
    };
  });

const inside = (s: Sample): void => {
  expect(s.data.length).toBe(s.width * s.height * 3);
  expect(s.boxes.length).toBe(s.labels.length * 4);
  for (let i = 0; i < s.boxes.length; i += 4) {
    const [l, t, r, b] = s.boxes.subarray(i, i + 4);
    // Float32 corners: a pixel's width times 1e-5 is rounding.
    expect(l).toBeGreaterThanOrEqual(-1e-3);
    expect(t).toBeGreaterThanOrEqual(-1e-3);
    expect(r).toBeLessThanOrEqual(s.width + 1e-3);
    expect(b).toBeLessThanOrEqual(s.height + 1e-3);
    expect(r).toBeGreaterThan(l);
    expect(b).toBeGreaterThan(t);
  }
};

describe("transforms carry boxes along", () => {
  it("flipping twice changes nothing", () => {
    fc.assert(
      fc.property(sample, (s) => {
        for (const flip of [flipHorizontally, flipVertically]) {
          const twice = flip(flip(s));
          expect(twice.data).toEqual(s.data);
          twice.boxes.forEach((c, i) => expect(c).toBeCloseTo(s.boxes[i], 4));
          inside(flip(s));
        }
      }),
    );
  });

  it("a flipped box covers the flipped pixels", () => {
    const s: Sample = {
      data: new Uint8Array(8 * 4 * 3),
      width: 8,
      height: 4,
      boxes: Float32Array.of(1, 1, 3, 2),
      labels: Int32Array.of(0),
    };
    for (const x of [1, 2]) s.data.fill(255, (8 + x) * 3, (8 + x) * 3 + 3);
    const flipped = flipHorizontally(s);
    expect([...flipped.boxes]).toEqual([5, 1, 7, 2]);
    expect([5, 6].every((x) => flipped.data[(8 + x) * 3] === 255)).toBe(true);
  });

  it("resizing keeps the fractions, cropping keeps what is inside", () => {
    fc.assert(
      fc.property(sample, fc.integer({ min: 2, max: 50 }), (s, side) => {
        const resized = resize(s, side, side);
        inside(resized);
        resized.boxes.forEach((c, i) =>
          expect(c / side).toBeCloseTo(s.boxes[i] / (i % 2 === 0 ? s.width : s.height), 4),
        );
        const cut = resizeAndCrop(s, s.width, s.height, { left: 1, top: 1, width: s.width - 2, height: s.height - 2 });
        inside(cut);
        expect(cut.labels.length).toBeLessThanOrEqual(s.labels.length);
      }),
    );
  });

  it("a window of a resized image is what the whole of it has there", () => {
    fc.assert(
      fc.property(
        sample,
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 60 }),
        fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 4, maxLength: 4 }),
        (s, width, height, [x, y, w, h]) => {
          const [left, top] = [Math.floor(x * width), Math.floor(y * height)];
          const window = {
            left,
            top,
            width: 1 + Math.floor(w * (width - left)),
            height: 1 + Math.floor(h * (height - top)),
          };
          const whole = resize(s, width, height);
          const cut = resizeAndCrop(s, width, height, window);
          for (let row = 0; row < window.height; row++) {
            const from = ((top + row) * width + left) * 3;
            expect(cut.data.subarray(row * window.width * 3, (row + 1) * window.width * 3)).toEqual(
              whole.data.subarray(from, from + window.width * 3),
            );
          }
        },
      ),
    );
  });

  it("jitters a strip of 2×2000 and of 3000×1 pixels in the memory of other images", () => {
    for (const [width, height] of [
      [2, 2000],
      [3000, 1],
    ]) {
      const strip: Sample = {
        data: pixels(width, height),
        width,
        height,
        boxes: Float32Array.of(0, 0, width, height),
        labels: Int32Array.of(0),
      };
      const before = process.resourceUsage().maxRSS;
      for (let seed = 0; seed < 10; seed++) inside(scaleJitter(strip, 64, 64, new Rng(seed)));
      // Resized as a whole, a strip has 1 to 3 GiB. RSS is in KiB.
      expect(process.resourceUsage().maxRSS - before).toBeLessThan(200 << 10);
    }
  });

  it("scale jitter and every preset give boxes inside the square, the same for the same seed", () => {
    fc.assert(
      fc.property(sample, fc.constantFrom(...Object.values(augmentPresets)), fc.integer(), (s, preset, seed) => {
        const make = (): Sample => {
          const rng = new Rng(seed);
          return augment(scaleJitter(s, 32, 32, rng), preset, rng);
        };
        const first = make();
        inside(first);
        expect([first.width, first.height]).toEqual([32, 32]);
        expect(make()).toEqual(first);
      }),
      { numRuns: 40 },
    );
  });

  it("a quarter turn is exact", () => {
    const s: Sample = {
      data: pixels(6, 6),
      width: 6,
      height: 6,
      boxes: Float32Array.of(0, 0, 2, 1),
      labels: Int32Array.of(0),
    };
    const turned = affine(s, { rotate: 90 });
    // Counter-clockwise: the top row becomes the left column, bottom first.
    for (let x = 0; x < 6; x++)
      expect([...turned.data.subarray((5 - x) * 6 * 3, (5 - x) * 6 * 3 + 3)]).toEqual([
        ...s.data.subarray(x * 3, x * 3 + 3),
      ]);
    [0, 4, 1, 6].forEach((c, i) => expect(turned.boxes[i]).toBeCloseTo(c, 5));
  });
});

describe("scale jitter", () => {
  // 6000 draws with fixed seeds: four standard deviations of a share are below 0.026.
  const draws = Array.from({ length: 6000 }, (_, seed) => drawJitter(800, 1000, new Rng(seed)));
  const crops = draws.filter((drawn) => drawn !== null);
  const share = (of: (jitter: Jitter) => boolean): number => crops.filter(of).length / crops.length;

  it("crops every second image, after one of three resizes", () => {
    expect(Math.abs(crops.length / draws.length - 0.5)).toBeLessThan(0.026);
    for (const [width, height] of [
      [400, 500],
      [500, 625],
      [600, 750],
    ])
      expect(Math.abs(share((j) => j.width === width && j.height === height) - 1 / 3)).toBeLessThan(0.036);
  });

  it("cuts squares of uniform side, from 384 to the short side and never above 600, at uniform places", () => {
    const large = crops.filter(({ width }) => width === 600);
    const sides = large.map(({ cut }) => cut);
    expect([Math.min(...sides) >= 384, Math.max(...sides) <= 600]).toEqual([true, true]);
    // A uniform integer on 384 … 600: mean 492, deviation 62.6, of about a thousand draws.
    expect(Math.abs(sides.reduce((sum, cut) => sum + cut, 0) / sides.length - 492)).toBeLessThan(8);
    for (const [place, room] of [
      [(j: Jitter) => j.left, (j: Jitter) => j.width - j.cut],
      [(j: Jitter) => j.top, (j: Jitter) => j.height - j.cut],
    ] as const) {
      const fractions = crops.filter((j) => room(j) > 20).map((j) => place(j) / room(j));
      expect([Math.min(...fractions) >= 0, Math.max(...fractions) <= 1]).toEqual([true, true]);
      expect(Math.abs(fractions.reduce((sum, f) => sum + f, 0) / fractions.length - 0.5)).toBeLessThan(0.03);
    }
  });

  it("cuts windows of the ratio that the model sees, inside of the image", () => {
    const side = fc.integer({ min: 1, max: 3000 });
    const aspect = fc.double({ min: 0.2, max: 5, noNaN: true });
    fc.assert(
      fc.property(side, side, aspect, fc.integer(), (width, height, ratio, seed) => {
        const drawn = drawJitter(width, height, new Rng(seed), ratio);
        if (drawn === null) return;
        const { cut, left, top } = drawn;
        const [wide, high] = ratio > 1 ? [Math.floor(cut * ratio), cut] : [cut, Math.floor(cut / ratio)];
        expect(left >= 0 && left + wide <= Math.max(drawn.width, wide)).toBe(true);
        expect(top >= 0 && top + high <= Math.max(drawn.height, high)).toBe(true);
        if (cut > 1) expect([wide <= drawn.width, high <= drawn.height]).toEqual([true, true]);
      }),
    );
  });

  it("rounds sizes as Python does, halves to even", () => {
    const heights = Array.from({ length: 60 }, (_, seed) => drawJitter(800, 801, new Rng(seed))).flatMap((j) =>
      j?.width === 400 ? [j.height] : [],
    );
    expect(new Set(heights)).toEqual(new Set([400]));
  });
});

describe("order of an epoch", () => {
  it("shows every image, fills up to whole batches, and changes with the epoch only", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 300 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer(),
        (images, batch, seed) => {
          const order = epochOrder(images, { effectiveBatch: batch, seed, epoch: 3 });
          expect(order.length % batch).toBe(0);
          expect(order).toEqual(epochOrder(images, { effectiveBatch: batch, seed, epoch: 3 }));
          if (images < 5 * batch) expect(order.length).toBe(5 * batch);
          else {
            expect(new Set(order).size).toBe(images);
            expect(order.length - images).toBeLessThan(batch);
          }
        },
      ),
    );
  });
});
