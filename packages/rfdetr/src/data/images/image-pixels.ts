// Decoded pixels as a program gives them: of a custom dataset, and to predict.

/** Decoded pixels: grey, RGB or RGBA bytes, row after row. The ImageData of a canvas is such. */
export interface ImagePixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
  /** May be left out of a Uint8ClampedArray, which has 4 then, as a canvas gives it. */
  channels?: 1 | 3 | 4;
}

/** The channels of pixels; undefined where they were left out and nothing tells them. */
export const channelsOf = ({ data, channels }: ImagePixels): ImagePixels["channels"] =>
  channels ?? (data instanceof Uint8ClampedArray ? 4 : undefined);
