// Images of the browser to RGB bytes, as `predict` decodes them in Node: turned upright, colours in sRGB.
import type { RgbPixels } from "../data/images/rgb.js";

/** An image: an element, a canvas, a frame, a bitmap, pixels, or the bytes of a file. */
export type ImageInput =
  | HTMLImageElement
  | HTMLVideoElement
  | HTMLCanvasElement
  | OffscreenCanvas
  | VideoFrame
  | ImageBitmap
  | ImageData
  | Blob;

/**
 * Reads the pixels of an image at its full size. Alpha is dropped; what is transparent may lose some of its colour,
 * since a canvas keeps colours multiplied by alpha.
 * @throws Error if the browser cannot decode the image, or may not read it
 */
export async function readPixels(image: ImageInput): Promise<RgbPixels> {
  if (image instanceof ImageData) return withoutAlpha(image);
  if (image instanceof Blob) {
    const bitmap = await createImageBitmap(image, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
    try {
      return draw(bitmap, bitmap.width, bitmap.height);
    } finally {
      bitmap.close();
    }
  }
  const [width, height] = sizeOf(image);
  if (!(width > 0 && height > 0))
    throw new Error(
      `Expected an image with a width and a height but received ${width} × ${height}: it is not loaded yet`,
    );
  return draw(image, width, height);
}

type Drawable = Exclude<ImageInput, ImageData | Blob>;

function sizeOf(image: Drawable): [width: number, height: number] {
  if ("naturalWidth" in image) return [image.naturalWidth, image.naturalHeight];
  if ("videoWidth" in image) return [image.videoWidth, image.videoHeight];
  if ("displayWidth" in image) return [image.displayWidth, image.displayHeight];
  return [image.width, image.height];
}

/** One canvas for all images: a new one for each frame of a video would be garbage. */
let canvas: OffscreenCanvas | null = null;

function draw(image: Drawable, width: number, height: number): RgbPixels {
  canvas ??= new OffscreenCanvas(width, height);
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (context === null) throw new Error("Expected a canvas to read pixels with but this browser gives none");
  context.clearRect(0, 0, width, height);
  context.drawImage(image, 0, 0, width, height);
  return withoutAlpha(context.getImageData(0, 0, width, height));
}

function withoutAlpha({ data, width, height }: ImageData): RgbPixels {
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  return { data: rgb, width, height };
}
