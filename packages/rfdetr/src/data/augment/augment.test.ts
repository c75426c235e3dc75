import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeMask, encodeMask, type Mask } from "../../masks/mask.js";
import { Rng } from "../../support/random.js";
import type { Sample } from "../images/geometry.js";
import { affine } from "./affine.js";
import { type AugConfig, augment, checkAugConfig } from "./config.js";
import { augmentPresets } from "./presets.js";
import { quarterTurns, symmetry } from "./symmetries.js";
import { kinds } from "./transforms.js";

interface Picture {
  width: number;
  height: number;
  boxes: number[][];
  /** The bits of each mask, eight in a byte. */
  masks: string[];
  bytes: string;
}
const golden = JSON.parse(readFileSync(new URL("./fixtures/augmentation.json", import.meta.url), "utf8")) as {
  source: Picture;
  cases: (Picture & { config: Record<string, unknown>; labels: number[] })[];
};
const bytesOf = ({ bytes }: Picture): Uint8Array => new Uint8Array(Buffer.from(bytes, "base64"));
const masksOf = ({ masks, width, height }: Picture): Mask[] =>
  masks.map((text) => {
    const bytes = Buffer.from(text, "base64");
    return encodeMask(
      Array.from({ length: width * height }, (_, i) => (bytes[i >> 3] >> (7 - (i % 8))) & 1),
      height,
      width,
    );
  });
const source: Sample = {
  data: bytesOf(golden.source),
  width: golden.source.width,
  height: golden.source.height,
  boxes: Float32Array.from(golden.source.boxes.flat()),
  labels: Int32Array.from(golden.source.boxes, (_, i) => i),
  masks: masksOf(golden.source),
};

/** Largest difference of two pictures in steps of a byte, and their mean difference. */
function apart(a: Uint8Array, b: Uint8Array): { most: number; mean: number } {
  const differences = Array.from(a, (value, i) => Math.abs(value - b[i]));
  return { most: Math.max(...differences), mean: differences.reduce((sum, d) => sum + d, 0) / differences.length };
}

describe("augmentations", () => {
  it.each(golden.cases.map((one) => [JSON.stringify(one.config), one] as const))("%s is Albumentations'", (_, one) => {
    const made = augment(source, one.config, new Rng(1));
    expect([made.width, made.height, [...made.labels]]).toEqual([one.width, one.height, one.labels]);
    // Corners in float32, there of fractions of the image.
    one.boxes.flat().forEach((corner, i) => expect(made.boxes[i]).toBeCloseTo(corner, 3));
    // OpenCV weighs neighbours in steps of 1/32, and rounds colours through integers: two or three steps of a byte on
    // this picture.
    const { most, mean } = apart(made.data, bytesOf(one));
    expect(most).toBeLessThanOrEqual(3);
    expect(mean).toBeLessThan(0.5);
    expect(made.masks).toEqual(masksOf(one));
  });

  it("move masks as they move pixels", () => {
    const { width, height } = source;
    for (const mask of source.masks as Mask[]) {
      const data = Uint8Array.from(decodeMask(mask), (bit) => 255 * bit).reduce(
        (all, value, i) => all.fill(value, i * 3, i * 3 + 3),
        new Uint8Array(width * height * 3),
      );
      for (let way = 0; way < 8; way++) {
        const made = symmetry({ ...source, data, masks: [mask] }, way);
        const bits = decodeMask((made.masks as Mask[])[0]);
        expect(made.data.filter((_, i) => i % 3 === 0)).toEqual(bits.map((bit) => 255 * bit));
      }
    }
  });

  it("turn by quarters and mirror, eight ways in all", () => {
    const ways = Array.from(
      { length: 8 },
      (_, i) => Buffer.from(symmetry(source, i).data).toString("base64") + symmetry(source, i).width,
    );
    expect(new Set(ways).size).toBe(8);
    const square: Sample = { ...source, width: 20, height: 24 };
    for (let turns = 0; turns < 4; turns++) {
      const back = quarterTurns(quarterTurns(square, turns), (4 - turns) % 4);
      expect(back.data).toEqual(square.data);
      expect([...back.boxes].map((c) => Math.round(c * 1e4))).toEqual(
        [...square.boxes].map((c) => Math.round(c * 1e4)),
      );
    }
  });
});

/** A picture that is black but for one bright rectangle, which is its box. */
const rectangle: fc.Arbitrary<Sample> = fc
  .record({
    side: fc.integer({ min: 24, max: 48 }),
    x: fc.double({ min: 0, max: 1, noNaN: true }),
    y: fc.double({ min: 0, max: 1, noNaN: true }),
    w: fc.double({ min: 0.2, max: 0.6, noNaN: true }),
    h: fc.double({ min: 0.2, max: 0.6, noNaN: true }),
  })
  .map(({ side, x, y, w, h }) => {
    const [width, height] = [Math.round(w * side), Math.round(h * side)];
    const [left, top] = [Math.round(x * (side - width)), Math.round(y * (side - height))];
    const data = new Uint8Array(side * side * 3);
    for (let row = top; row < top + height; row++)
      data.fill(255, (row * side + left) * 3, (row * side + left + width) * 3);
    return {
      data,
      width: side,
      height: side,
      boxes: Float32Array.of(left, top, left + width, top + height),
      labels: Int32Array.of(7),
    };
  });

/** Extent of the pixels that are brighter than half. */
function brightExtent({ data, width, height }: Sample): [number, number, number, number] | null {
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      if (data[(y * width + x) * 3] > 127)
        [left, top, right, bottom] = [
          Math.min(left, x),
          Math.min(top, y),
          Math.max(right, x + 1),
          Math.max(bottom, y + 1),
        ];
  return right > left ? [left, top, right, bottom] : null;
}

const geometric = [
  "HorizontalFlip",
  "VerticalFlip",
  "Transpose",
  "D4",
  "RandomRotate90",
  "Rotate",
  "Affine",
  "ShiftScaleRotate",
];
const strong: Record<string, object> = {
  Affine: { scale: [0.6, 1.4], translate_percent: [-0.2, 0.2], rotate: [-180, 180], shear: [-15, 15] },
  Rotate: { limit: 180 },
};

describe("boxes", () => {
  it.each(geometric)("stay around what they are around: %s", (name) => {
    fc.assert(
      fc.property(rectangle, fc.integer(), (picture, seed) => {
        const config = { [name]: { ...strong[name], p: 1 } };
        const made = augment(picture, config, new Rng(seed));
        const bright = brightExtent(made);
        if (bright === null) return;
        // What is still to be seen has its box, which the extent touches on every side: of a turned rectangle up to
        // the blur of its corners.
        expect(made.labels).toEqual(Int32Array.of(7));
        const [left, top, right, bottom] = made.boxes;
        expect(bright[0]).toBeGreaterThanOrEqual(left - 1);
        expect(bright[1]).toBeGreaterThanOrEqual(top - 1);
        expect(bright[2]).toBeLessThanOrEqual(right + 1);
        expect(bright[3]).toBeLessThanOrEqual(bottom + 1);
        for (const [edge, side] of [
          [left, 0],
          [top, 1],
          [right, 2],
          [bottom, 3],
        ]) {
          const inside = edge > 0.01 && edge < picture.width - 0.01;
          // An edge inside the picture lies where the rectangle's corner is, unless that corner is outside.
          const others = [left, top, right, bottom].every((e) => e > 0.01 && e < picture.width - 0.01);
          if (inside && others) expect(Math.abs(bright[side] - edge)).toBeLessThan(2.5);
        }
      }),
      { numRuns: 60 },
    );
  });

  it.each(
    Object.keys(kinds).filter(
      (name) => !geometric.includes(name) && name !== "TimeReverse" && name !== "SquareSymmetry",
    ),
  )("are left alone by %s", (name) => {
    fc.assert(
      fc.property(rectangle, fc.integer(), (picture, seed) => {
        const made = augment(picture, { [name]: { p: 1 } }, new Rng(seed));
        expect(made.boxes).toEqual(picture.boxes);
        expect([made.width, made.height]).toEqual([picture.width, picture.height]);
      }),
      { numRuns: 10 },
    );
  });

  it("stay inside the picture through any configuration, which gives the same for the same seed", () => {
    const leaf = fc.constantFrom(...Object.keys(kinds)).chain((name) => fc.record({ [name]: fc.constant({ p: 0.8 }) }));
    const { entry } = fc.letrec<{ entry: Record<string, unknown> }>((tie) => ({
      entry: fc.oneof(
        { depthSize: "small" },
        leaf,
        fc.record({ OneOf: fc.array(tie("entry"), { minLength: 1, maxLength: 3 }) }),
        fc.record({ Sequential: fc.array(tie("entry"), { minLength: 1, maxLength: 3 }) }),
        fc.record({
          SomeOf: fc.record({
            transforms: fc.array(tie("entry"), { minLength: 1, maxLength: 3 }),
            n: fc.integer({ min: 1, max: 3 }),
          }),
        }),
      ),
    }));
    fc.assert(
      fc.property(rectangle, fc.array(entry, { maxLength: 4 }), fc.integer(), (picture, config, seed) => {
        const made = augment(picture, config, new Rng(seed));
        expect(made.data.length).toBe(made.width * made.height * 3);
        expect(made.boxes.length).toBe(made.labels.length * 4);
        for (let i = 0; i < made.boxes.length; i += 4) {
          const [left, top, right, bottom] = made.boxes.subarray(i, i + 4);
          expect(Math.min(left, top, made.width - right, made.height - bottom)).toBeGreaterThanOrEqual(-1e-3);
          expect(Math.min(right - left, bottom - top)).toBeGreaterThan(0);
        }
        expect(augment(picture, config, new Rng(seed))).toEqual(made);
      }),
      { numRuns: 60 },
    );
  });

  it("leave with what was moved out of the picture", () => {
    expect(affine(source, { translate: [0, 15] }).labels).toEqual(Int32Array.of(0, 1));
    expect(affine(source, { translate: [100, 0] }).labels.length).toBe(0);
  });
});

/** How often a configuration changes a picture, of 2000 times. */
function rate(config: AugConfig, changed: (sample: Sample) => boolean): number {
  const tiny: Sample = {
    data: Uint8Array.of(9, 9, 9, 200, 99, 9),
    width: 2,
    height: 1,
    boxes: new Float32Array(0),
    labels: new Int32Array(0),
  };
  let count = 0;
  for (let seed = 0; seed < 2000; seed++) if (changed(augment(tiny, config, new Rng(seed)))) count++;
  return count / 2000;
}
const mirrored = ({ data }: Sample): boolean => data[0] === 200;
const grey = ({ data }: Sample): boolean => data[0] === data[1] && data[3] === data[4];

describe("probabilities", () => {
  // Four standard deviations of a share of 2000 draws are below 0.045; the seeds are fixed.
  it("are those that are asked for", () => {
    for (const p of [0, 0.1, 0.3, 0.5, 0.9, 1])
      expect(Math.abs(rate({ HorizontalFlip: { p } }, mirrored) - p)).toBeLessThan(0.045);
    expect(Math.abs(rate({ HorizontalFlip: {} }, mirrored) - 0.5)).toBeLessThan(0.045);
    expect(rate({}, mirrored)).toBe(0);
  });

  it("of two of the same name in a list count both", () => {
    const twice = [{ HorizontalFlip: { p: 0.5 } }, { HorizontalFlip: { p: 0.2 } }];
    expect(Math.abs(rate(twice, mirrored) - (0.5 * 0.8 + 0.5 * 0.2))).toBeLessThan(0.045);
  });

  it("of OneOf's members are weights, and the container has its own", () => {
    const of = (p: number) => ({ OneOf: { transforms: [{ HorizontalFlip: { p: 0.3 } }, { ToGray: { p: 0.1 } }], p } });
    expect(Math.abs(rate(of(1), mirrored) - 0.75)).toBeLessThan(0.045);
    expect(Math.abs(rate(of(1), (s) => !mirrored(s) && grey(s)) - 0.25)).toBeLessThan(0.045);
    expect(Math.abs(rate(of(0.4), mirrored) - 0.3)).toBeLessThan(0.045);
    expect(
      Math.abs(rate({ OneOf: [{ HorizontalFlip: { p: 1 } }, { ToGray: { p: 1 } }] }, mirrored) - 0.5),
    ).toBeLessThan(0.045);
  });

  it("hold inside Sequential and SomeOf", () => {
    const members = [{ HorizontalFlip: { p: 0.5 } }, { ToGray: { p: 1 } }];
    expect(Math.abs(rate({ Sequential: { transforms: members, p: 0.6 } }, grey) - 0.6)).toBeLessThan(0.045);
    expect(rate({ SomeOf: { transforms: members, n: 2 } }, grey)).toBe(1);
    expect(Math.abs(rate({ SomeOf: { transforms: members, n: 1 } }, grey) - 0.5)).toBeLessThan(0.045);
    expect(Math.abs(rate({ SomeOf: { transforms: members, n: 1 } }, mirrored) - 0.25)).toBeLessThan(0.045);
  });
});

describe("aug_config", () => {
  it("takes every preset, and any augmentation with its defaults", () => {
    for (const preset of Object.values(augmentPresets)) expect(() => checkAugConfig(preset)).not.toThrow();
    for (const name of Object.keys(kinds)) expect(() => checkAugConfig({ [name]: {} })).not.toThrow();
  });

  it.each([
    [{ HorizontalFlop: {} }, "received HorizontalFlop: did you mean HorizontalFlip?"],
    [{ HorizontalFlip: { prob: 0.5 } }, "Expected p for HorizontalFlip in aug_config but received prob"],
    [{ HorizontalFlip: { p: 2 } }, "Expected another value for HorizontalFlip.p in aug_config but received 2"],
    [{ Rotate: { limit: [30, 10] } }, "for Rotate.limit in aug_config but received [30,10]"],
    [
      { Rotate: { crop_border: true } },
      "for Rotate.crop_border in aug_config but received true: only false is supported",
    ],
    [{ OneOf: [] }, "for OneOf.transforms in aug_config but received"],
    [
      [{ HorizontalFlip: {}, VerticalFlip: {} }],
      "Expected an object of one name and its parameters in aug_config but received",
    ],
  ])("refuses %j in one sentence", (config, message) => {
    expect(() => checkAugConfig(config as AugConfig)).toThrow(message);
  });
});
