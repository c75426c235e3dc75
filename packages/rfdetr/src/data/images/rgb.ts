// Converts any picture to 8-bit RGB, as Pillow's `convert("RGB")` does.
import type { Sharp } from "sharp";

/** A decoded image. */
export interface RgbPixels {
  /** `[height, width, 3]` */
  data: Uint8Array;
  width: number;
  height: number;
}

/**
 * Decodes a pipeline to RGB. Alpha is dropped, not blended. Greyscale is repeated in the three channels. CMYK is
 * converted by multiplication, as in Pillow. A colour profile changes nothing, as in Pillow. Of 16 bits the upper
 * eight are kept; Pillow clips 16-bit greyscale at 255 instead, which gives a white picture.
 */
export async function rgbPixels(image: Sharp): Promise<RgbPixels> {
  const { space, depth } = await image.metadata();
  if (space === "cmyk") {
    const wide = depth === "ushort";
    const inks = image.pipelineColourspace("cmyk").toColourspace("cmyk");
    const { data, info } = await inks.raw({ depth: wide ? depth : "uchar" }).toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    // libvips gives numbers in the order of the machine: little-endian, on all that this program runs on.
    const bytes = wide ? Uint8Array.from({ length: data.length / 2 }, (_, i) => data[i * 2 + 1]) : data;
    return { data: fromCmyk(bytes, channels), width, height };
  }
  const { data, info } = await image
    .removeAlpha()
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (channels === 3) return { data, width, height };
  const rgb = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) rgb.fill(data[i * channels], i * 3, i * 3 + 3);
  return { data: rgb, width, height };
}

/** CMYK bytes to RGB bytes in Pillow's integer arithmetic (`Convert.c: cmyk2rgb`). Further channels are left out. */
function fromCmyk(inks: Uint8Array, channels: number): Uint8Array {
  const rgb = new Uint8Array((inks.length / channels) * 3);
  for (let i = 0; i < inks.length / channels; i++) {
    const light = 255 - inks[i * channels + 3];
    for (let c = 0; c < 3; c++) {
      const product = inks[i * channels + c] * light + 128;
      rgb[i * 3 + c] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}
