import { createHash } from "node:crypto";
import fc from "fast-check";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { encodeMask, type Mask, maskBox } from "../masks/mask.js";
import { blackPng } from "../testing/black-png.js";
import { detectPrepared, prepareImage, prepareSource } from "./prepared-image.js";
import { tileBoxes } from "./tiles.js";
import type { DecodedImage, KnownDetectOptions, SquareImage, SquarePrediction } from "./types.js";

const toSquare = ({ data, width, height }: DecodedImage): SquareImage => ({ pixels: data, width, height });
/** Finds a box around the whole of every image, scored by its first byte. Records how many images went together. */
const finder = (batches: number[]) => ({
  detectSquares(images: readonly SquareImage[]): SquarePrediction[] {
    batches.push(images.length);
    return images.map(({ pixels, width, height }) => ({
      width,
      height,
      detections: [{ box: [0, 0, width, height], score: pixels[0] / 255, classId: 0, className: "thing" }],
      below: [{ score: pixels[0] / 1000, classId: 1, className: "other" }],
    }));
  },
});
const image: DecodedImage = { data: new Uint8Array(90 * 50 * 3).fill(200), width: 90, height: 50 };

describe("an image in tiles", () => {
  it("has the boxes of all tiles in pixels of the image, some tiles at a time", async () => {
    const batches: number[] = [];
    const options = { tiles: { size: 50, overlap: 10 } };
    const prepared = prepareImage({ toSquare }, image, options);
    const [found] = await detectPrepared(finder(batches), [prepared], options, 1);
    expect(batches).toEqual([1, 1]);
    expect([found.width, found.height]).toEqual([90, 50]);
    expect(found.detections.map(({ box }) => box)).toEqual([
      [0, 0, 50, 50],
      [40, 0, 90, 50],
    ]);
  });

  it("that was decoded at a part of its size has boxes in pixels of its file", async () => {
    const options = { tiles: 50 };
    const prepared = prepareImage({ toSquare }, { ...image, original: { width: 270, height: 100 } }, options);
    const [found] = await detectPrepared(finder([]), [prepared], options, 8);
    expect(found.detections.map(({ box }) => box)).toEqual([
      [0, 0, 150, 100],
      [120, 0, 270, 100],
    ]);
  });

  it("has masks at the size of its file, also if it was decoded at a part of it", async () => {
    const options = { tiles: 50 };
    const full = {
      detectSquares: async (images: readonly SquareImage[]) =>
        (await finder([]).detectSquares(images)).map((found) => ({
          ...found,
          detections: found.detections.map((each) => ({
            ...each,
            mask: encodeMask(new Uint8Array(found.height * found.width).fill(1), found.height, found.width),
          })),
        })),
    };
    const prepared = prepareImage({ toSquare }, { ...image, original: { width: 270, height: 100 } }, options);
    const [{ detections }] = await detectPrepared(full, [prepared], options, 8);
    expect(detections.map(({ mask }) => maskBox(mask as Mask))).toEqual(detections.map(({ box }) => box));
    expect(detections.map(({ mask }) => [mask?.height, mask?.width])).toEqual([
      [100, 270],
      [100, 270],
    ]);
  });

  it("is left between two forward passes when a message says so, which arrives while they keep the thread", async () => {
    const batches: number[] = [];
    const prepared = prepareImage({ toSquare }, image, { tiles: 8 });
    const tiles = tileBoxes(image.width, image.height, { size: 8 });
    const stop = new AbortController();
    const { port1, port2 } = new MessageChannel();
    port2.addEventListener("message", () => stop.abort(new Error("enough")));
    port2.start();
    port1.postMessage("cancel");
    const found = detectPrepared(finder(batches), [prepared], { tiles: 8 }, 1, stop.signal);
    await expect(found).rejects.toThrow("enough");
    port1.close();
    expect(batches.length).toBeLessThan(tiles.length / 2);
  });

  it("stands beside whole images, each with what is selected of it", async () => {
    const options = { maxDetections: 1 };
    const whole = prepareImage({ toSquare }, image, options);
    const tiled = prepareImage({ toSquare }, image, { ...options, tiles: 50 });
    const found = await detectPrepared(finder([]), [tiled, whole], options, 2);
    expect(found.map(({ detections }) => detections.length)).toEqual([1, 1]);
    expect(found[1].detections[0].box).toEqual([0, 0, 90, 50]);
  });

  it("has the best that is not reported where nothing is, of the wanted classes", async () => {
    const found = async (options: KnownDetectOptions) => {
      const [prediction] = await detectPrepared(finder([]), [prepareImage({ toSquare }, image, options)], options, 8);
      return prediction;
    };
    for (const tiles of [{}, { tiles: 50 }]) {
      expect(await found({ threshold: 0.7, ...tiles })).not.toHaveProperty("bestBelow");
      expect(await found({ threshold: 0.8, ...tiles })).toMatchObject({
        detections: [],
        bestBelow: { className: "thing", score: 200 / 255, threshold: 0.8 },
      });
      expect(await found({ threshold: { "*": 0.5, other: 0.4 }, classes: ["other"], ...tiles })).toEqual({
        width: 90,
        height: 50,
        detections: [],
        bestBelow: { className: "other", classId: 1, score: 0.2, threshold: 0.4 },
      });
      expect(await found({ classes: ["third"], ...tiles })).toEqual({ width: 90, height: 50, detections: [] });
    }
  });
});

describe("a picture that is too large to be held whole", () => {
  const formats = ["png", "jpeg", "webp", "tiff", "avif"] as const;
  /** A file with noise, so that no two places are alike. */
  const written = (width: number, height: number, format: (typeof formats)[number], orientation: number) => {
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) & 255);
    const image = sharp(data, { raw: { width, height, channels: 3 } }).withMetadata({ orientation });
    return image.toFormat(format, { quality: 80, effort: 1 }).toBuffer();
  };

  it("has the tiles of the whole picture, with every pixel, however it is turned", async () => {
    const some = fc.record({
      width: fc.integer({ min: 33, max: 150 }),
      height: fc.integer({ min: 33, max: 150 }),
      format: fc.constantFrom(...formats),
      orientation: fc.integer({ min: 1, max: 8 }),
      autoOrient: fc.boolean(),
      size: fc.integer({ min: 32, max: 90 }),
      overlap: fc.integer({ min: 0, max: 31 }),
      most: fc.integer({ min: 1, max: 150 * 150 }),
    });
    await fc.assert(
      fc.asyncProperty(some, async ({ width, height, format, orientation, autoOrient, size, overlap, most }) => {
        const file = await written(width, height, format, orientation);
        const options = { tiles: { size, overlap }, autoOrient, threshold: 0 };
        const seen = async (held?: number) => {
          const squares: (string | number)[] = [];
          const seeing = {
            toSquare(image: DecodedImage): SquareImage {
              squares.push(image.width, image.height, createHash("sha256").update(image.data).digest("hex"));
              return toSquare(image);
            },
          };
          const prepared = await prepareSource(seeing, file, options, held);
          return { found: await detectPrepared(finder([]), [prepared], options, 3), squares };
        };
        expect(await seen(most)).toEqual(await seen());
      }),
      { numRuns: 40 },
    );
  });

  it("is never held whole, nor are its tiles", async () => {
    const file = blackPng(16383, 16383);
    const options = { tiles: 3000 };
    const before = process.resourceUsage().maxRSS;
    const sizes = new Set<string>();
    const seeing = {
      toSquare({ width, height }: DecodedImage): SquareImage {
        sizes.add(`${width}×${height}`);
        return { pixels: new Uint8Array(3), width, height };
      },
    };
    const [found] = await detectPrepared(finder([]), [await prepareSource(seeing, file, options)], options, 4);
    expect(found).toMatchObject({ width: 16383, height: 16383 });
    expect([...sizes]).toEqual(["3000×3000"]);
    // A part has 192 MiB, and the one before it may not be collected yet; the picture has 768 MiB. RSS is in KiB.
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(600 << 10);
  });

  it("has tiles that are too large by themselves at a part of their size", async () => {
    const options = { tiles: { size: 9000, overlap: 0 } };
    const sizes: number[][] = [];
    const seeing = {
      toSquare({ width, height, original }: DecodedImage): SquareImage {
        sizes.push([width, height, original?.width ?? 0, original?.height ?? 0]);
        return { pixels: new Uint8Array(3).fill(200), width: original?.width ?? 0, height: original?.height ?? 0 };
      },
    };
    const prepared = await prepareSource(seeing, blackPng(9001, 9000), options);
    const [{ detections }] = await detectPrepared(finder([]), [prepared], options, 1);
    expect(sizes).toEqual([
      [4500, 4500, 9000, 9000],
      [1, 9000, 1, 9000],
    ]);
    expect(detections.map(({ box }) => box)).toEqual([
      [0, 0, 9000, 9000],
      [9000, 0, 9001, 9000],
    ]);
  });

  it("and ends in the middle has its own error once that is met", async () => {
    const whole = await written(64, 200, "png", 1);
    const options = { tiles: 32 };
    const prepared = await prepareSource(
      { toSquare },
      whole.subarray(0, Math.floor(whole.length * 0.7)),
      options,
      5000,
    );
    await expect(detectPrepared(finder([]), [prepared], options, 2)).rejects.toThrow(
      /the beginning of a PNG and ends in the middle/,
    );
  });
});
