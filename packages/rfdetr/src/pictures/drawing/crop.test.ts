import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { RawImage } from "../picture.js";
import { cropDetections } from "./crop.js";

/** A picture whose red tells the column and whose green tells the row. */
function grid(width: number, height: number): RawImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) for (let x = 0; x < width; x++) data.set([x, y, 0], (y * width + x) * 3);
  return { data, width, height, channels: 3 };
}
const box = (...edges: [number, number, number, number]) => ({ box: edges });

/** First column and row of a crop, and its size. */
async function place(crop: Buffer) {
  const { data, info } = await sharp(crop).raw().toBuffer({ resolveWithObject: true });
  return [data[0], data[1], info.width, info.height];
}

describe("objects cut out of a picture", () => {
  it("have the whole pixels of their boxes, up to the edges, and a margin if one is wanted", async () => {
    const boxes = [box(10, 20, 30, 50), box(10.4, 20.6, 29.2, 50), box(-5, 70, 8, 99)];
    const places = async (margin?: number) => {
      const options = { format: "png" as const, ...(margin === undefined ? {} : { margin }) };
      return Promise.all((await cropDetections(grid(100, 80), boxes, options)).map(place));
    };
    expect(await places()).toEqual([
      [10, 20, 20, 30],
      [10, 20, 20, 30],
      [0, 70, 8, 10],
    ]);
    expect((await places(5))[0]).toEqual([5, 15, 30, 40]);
  });

  it("have at least a pixel, and are JPEG unless another format is named", async () => {
    const [crop] = await cropDetections(grid(20, 20), [box(20, 20, 20, 20)]);
    expect(await sharp(crop).metadata()).toMatchObject({ format: "jpeg", width: 1, height: 1 });
    expect(await cropDetections("no such file", [])).toEqual([]);
  });
});
