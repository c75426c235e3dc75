import { Readable } from "node:stream";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import type { ImagePixels } from "../../data/images/image-pixels.js";
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

  it("is the bytes themselves where they may be given away, unless they are a part of others", async () => {
    const whole = new Uint8Array([1, 2, 3]);
    expect(await imageSource(whole, { transfer: true })).toBe(whole);
    const part = whole.subarray(1);
    expect(await imageSource(part, { transfer: true })).not.toBe(part);
    const { data } = (await imageSource(pixels, { transfer: true })) as typeof pixels;
    expect(data.buffer).toBe(pixels.data.buffer);
  });

  it("is a blob, a file or shared memory", async () => {
    expect(await imageSource(new Blob([new Uint8Array([4, 5])]))).toEqual(new Uint8Array([4, 5]));
    expect(await imageSource(new File([new Uint8Array([6])], "a.jpg"))).toEqual(new Uint8Array([6]));
    expect(await imageSource(new SharedArrayBuffer(2))).toEqual(new Uint8Array(2));
  });

  it("is pixels, also those of a canvas, which have four channels", async () => {
    expect(await imageSource(pixels)).toEqual(pixels);
    const clamped: ImagePixels = { ...pixels, data: new Uint8ClampedArray(18) };
    expect(await imageSource(clamped)).toEqual(pixels);
    const canvas = { data: new Uint8ClampedArray(24), width: 3, height: 2 };
    expect(await imageSource(canvas)).toEqual({ data: new Uint8Array(24), width: 3, height: 2, channels: 4 });
  });

  it("is a sharp pipeline, which can be used again", async () => {
    const pipeline = red();
    const expected = { data: Buffer.from("ff0000".repeat(6), "hex"), width: 3, height: 2, channels: 3 };
    expect(await imageSource(pipeline)).toEqual(expected);
    expect(await imageSource(pipeline)).toEqual(expected);
  });

  it.each([
    ["s3://x/a.jpg", "Expected a file, http, https or data URL but received s3://x/a.jpg: give the bytes of the image"],
    [new URL("ftp://x.org/a.jpg"), "data URL but received ftp://x.org/a.jpg"],
    [
      "file:///x/%E4.png",
      "Expected an address of a file on this machine, such as file:///folder/a%20b.png in UTF-8, but",
    ],
    ["file://host/x.png", "but received file://host/x.png"],
    [new URL("file://host/x.png"), "but received file://host/x.png"],
    [new Response("a"), "but received Response: give what its arrayBuffer() resolves to"],
    [Readable.from(Buffer.from("a"), { objectMode: false }), "Readable: collect its bytes first, with buffer()"],
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
    const bytes = () => Readable.from(Buffer.from("a"), { objectMode: false });
    for (const many of [[], ["a.jpg"], new Set(["a.jpg"]), later(), Readable.from(["a.jpg"])])
      expect(isMany(many)).toBe(true);
    for (const one of ["a.jpg", new Uint8Array(3), new ArrayBuffer(3), red(), pixels, null, undefined, 7, bytes()])
      expect(isMany(one)).toBe(false);
  });
});
