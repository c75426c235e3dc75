import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { mosaic } from "./mosaic.js";

const grey = (width: number, height: number, value: number) => ({
  data: new Uint8Array(width * height * 3).fill(value),
  width,
  height,
  channels: 3 as const,
});

describe("mosaic", () => {
  it("puts scaled pictures and captions on a grid", async () => {
    const tiles = [{ image: grey(200, 100, 0), caption: "truth" }, grey(100, 200, 255), grey(10, 10, 7)];
    const { data, info } = await sharp(await mosaic(tiles, { columns: 2, tileSize: 100, gap: 4 }))
      .raw()
      .toBuffer({ resolveWithObject: true });
    // Two columns and rows of 100 px, captions of 1.5 * 12 px.
    expect([info.width, info.height]).toEqual([4 + 2 * 104, 4 + 2 * (100 + 18 + 4)]);
    const at = (x: number, y: number) =>
      `#${data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3).toString("hex")}`;
    expect([at(10, 30), at(54, 100), at(158, 30), at(5, 150)]).toEqual(["#000000", "#eef0f2", "#ffffff", "#eef0f2"]);
  });

  it("of nothing is an empty ground", async () => {
    expect((await sharp(await mosaic([])).metadata()).width).toBeGreaterThan(0);
  });

  it("takes captions in any letters, and shortens long ones", async () => {
    const image = grey(100, 60, 0);
    const captions = ["Füchse", "狐狸", "\ufdd1", "a caption that is longer than the picture is wide by far"];
    const drawn = captions.map((caption) => ({ image, caption }));
    expect((await sharp(await mosaic(drawn, { columns: 2, tileSize: 100, gap: 4 })).metadata()).width).toBe(212);
  });
});
