import { describe, expect, it } from "vitest";
import { encodeMask, type Mask, maskBox } from "../masks/mask.js";
import { detectPrepared, prepareImage } from "./prepared-image.js";
import type { DecodedImage, DetectOptions, SquareImage, SquarePrediction } from "./types.js";

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
    const stop = new AbortController();
    const { port1, port2 } = new MessageChannel();
    port2.addEventListener("message", () => stop.abort(new Error("enough")));
    port2.start();
    port1.postMessage("cancel");
    const found = detectPrepared(finder(batches), [prepared], { tiles: 8 }, 1, stop.signal);
    await expect(found).rejects.toThrow("enough");
    port1.close();
    expect(batches.length).toBeLessThan(prepared.squares.length / 2);
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
    const found = async (options: DetectOptions) => {
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
