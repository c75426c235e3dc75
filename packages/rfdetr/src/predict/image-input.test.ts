import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type ImageInput, imageSource, isMany } from "./image-input.js";

const red = () => sharp({ create: { width: 3, height: 2, channels: 3, background: "#ff0000" } });
const pixels = { data: new Uint8Array(18), width: 3, height: 2, channels: 3 as const };

describe("an image", () => {
  it("is a path or the URL of a file", async () => {
    expect(await imageSource("a b.jpg")).toBe("a b.jpg");
    expect(await imageSource(pathToFileURL("/p/ä b.jpg"))).toBe("/p/ä b.jpg");
    expect(await imageSource("file:///p/a%20b.jpg")).toBe("/p/a b.jpg");
  });

  it("is the bytes of a file, of which a copy is taken", async () => {
    const bytes = new Uint8Array([0, 1, 2, 3]).subarray(1, 3);
    const copy = (await imageSource(bytes)) as Uint8Array;
    bytes[0] = 9;
    expect(copy).toEqual(new Uint8Array([1, 2]));
    expect(copy.buffer.byteLength).toBe(2);
    expect(await imageSource(Buffer.from([7]))).toEqual(new Uint8Array([7]));
    expect(await imageSource(new Uint8Array([5, 6]).buffer)).toEqual(new Uint8Array([5, 6]));
  });

  it("is pixels, also those of a canvas", async () => {
    expect(await imageSource(pixels)).toEqual(pixels);
    const clamped = { ...pixels, data: new Uint8ClampedArray(18) } as unknown as ImageInput;
    expect(await imageSource(clamped)).toEqual(pixels);
  });

  it("is a sharp pipeline, which can be used again", async () => {
    const pipeline = red();
    const expected = { data: Buffer.from("ff0000".repeat(6), "hex"), width: 3, height: 2, channels: 3 };
    expect(await imageSource(pipeline)).toEqual(expected);
    expect(await imageSource(pipeline)).toEqual(expected);
  });

  it.each([
    ["https://x.org/a.jpg", "Expected the path of an image but received https://x.org/a.jpg, which is not downloaded"],
    [new URL("https://x.org/a.jpg"), "Expected the URL of a file but received https://x.org/a.jpg"],
    [undefined, "but received undefined"],
    [null, "but received null"],
    [42, "but received 42"],
    [{}, "or a sharp pipeline but received Object"],
    [new Float32Array(18), "but received Float32Array"],
    [{ ...pixels, data: new Float32Array(18) }, "Expected a Uint8Array of 18 bytes for 3×2 pixels of 3 channels but"],
    [{ ...pixels, data: new Uint8Array(17) }, "Expected 18 bytes for 3×2 pixels of 3 channels but received 17"],
    [{ ...pixels, channels: 2 }, "1, 3 or 4 channels but received 3×2 pixels of 2 channels"],
    [{ ...pixels, width: 1.5 }, "a positive width and height"],
    [{ data: pixels.data }, "undefined×undefined pixels"],
  ])("is not %s", async (input, message) => {
    await expect(imageSource(input as ImageInput)).rejects.toMatchObject({
      code: "ERR_PICTURE_INPUT",
      message: expect.stringContaining(message),
    });
  });
});

describe("many images", () => {
  it("are iterables, but not text, bytes or a pipeline", () => {
    async function* later() {
      yield "a.jpg";
    }
    for (const many of [[], ["a.jpg"], new Set(["a.jpg"]), later()]) expect(isMany(many)).toBe(true);
    for (const one of ["a.jpg", new Uint8Array(3), new ArrayBuffer(3), red(), pixels, null, undefined, 7])
      expect(isMany(one)).toBe(false);
  });
});
