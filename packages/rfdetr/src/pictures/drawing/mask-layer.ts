// Masks in the colours of their classes, in the pixels of a picture.
import { maskBox } from "../../masks/mask.js";
import { maskWindow, type Window } from "../../masks/segments.js";
import { readableOn } from "../../support/class-colors.js";
import type { RawImage } from "../picture.js";
import { type BoxOptions, bestFirst, colorsOf, type LabelledBox, lineOf } from "./box-overlay.js";

/** How much of the class colour an object gets: what it looks like stays visible. */
const strength = 0.45;
/** The same of a region that does not count as an object. */
const weakStrength = 0.2;
/** How dark or light the line between edge and inside is, which stands out where the picture has the class colour. */
const haloStrength = 0.5;

/**
 * Paints the masks of detections: half transparent in the colour of the class, with an opaque edge and a dark or light
 * line beside it. Better detections lie above worse ones. Where masks overlap, the better one alone gives the colour,
 * so that colours stay those of classes. A faint detection has its edge only.
 * @param picture RGB
 * @returns another picture, or the same if no detection has a mask
 */
export function paintMasks<Picture extends RawImage>(
  picture: Picture,
  detections: readonly LabelledBox[],
  options: BoxOptions = {},
): Picture {
  const masked = bestFirst(detections).filter(({ mask }) => mask !== undefined);
  if (masked.length === 0) return picture;
  const { width, height } = picture;
  // The slice of a Buffer would be no copy.
  const data = new Uint8Array(picture.data);
  const painted = new Uint8Array(width * height);
  const colorOf = colorsOf(options.classNames ?? []);
  // Depths are bytes.
  const edge = Math.min(100, Math.max(1, Math.round(lineOf(width, height, options.lineWidth) * 0.5)));
  const halo = Math.ceil(edge / 2);
  for (const detection of masked) {
    const color = colorOf(detection);
    const paints = { edge: channelsOf(color), halo: channelsOf(readableOn(color)) };
    const inner = detection.look === "faint" ? 0 : detection.look === "dashed" ? weakStrength : strength;
    const layer = layerOf(detection, width, height, edge + halo + 1);
    if (layer === null) continue;
    const { depth, window } = layer;
    const [left, top, right, bottom] = window;
    for (let y = top, i = 0; y < bottom; y++)
      for (let x = left, at = y * width + left; x < right; x++, at++, i++) {
        if (depth[i] === 0 || painted[at] === 1) continue;
        painted[at] = 1;
        const isHalo = depth[i] > edge && depth[i] <= edge + halo;
        const paint = isHalo ? paints.halo : paints.edge;
        const share = depth[i] <= edge ? 1 : isHalo ? haloStrength : inner;
        for (let c = 0; c < 3; c++) data[at * 3 + c] = Math.round(data[at * 3 + c] * (1 - share) + paint[c] * share);
      }
  }
  return { ...picture, data };
}

const channelsOf = (color: string): number[] => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));

/** How deep the pixels of a mask lie in it, at the size of the picture, in the box around the object. */
function layerOf(
  { mask }: LabelledBox,
  width: number,
  height: number,
  most: number,
): { window: Window; depth: Uint8Array } | null {
  const box = mask === undefined ? null : maskBox(mask);
  if (mask === undefined || box === null) return null;
  const [x, y] = [width / mask.width, height / mask.height];
  const window = [
    Math.floor(box[0] * x),
    Math.floor(box[1] * y),
    Math.min(width, Math.ceil(box[2] * x)),
    Math.min(height, Math.ceil(box[3] * y)),
  ] as const;
  const bits = maskWindow(mask, { width, height }, window);
  // An object that goes on outside of the picture has no edge there.
  const open = [window[0] === 0, window[2] === width, window[1] === 0, window[3] === height] as const;
  return { window, depth: depths(bits, window[2] - window[0], most, open) };
}

/**
 * How deep each pixel lies in the object: steps to the nearest pixel outside to the left, right, top or bottom, at most
 * `most`; 0 outside.
 * @param open whether the object goes on beyond the left, right, top and bottom
 */
function depths(bits: Uint8Array, width: number, most: number, open: readonly boolean[]): Uint8Array {
  const [openLeft, openRight, openTop, openBottom] = open.map((each) => (each ? most : 0));
  const depth = new Uint8Array(bits.length);
  const height = bits.length / width;
  const vertical = new Uint8Array(width).fill(openTop);
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0, steps = openLeft; x < width; x++, at++) {
      steps = bits[at] === 0 ? 0 : Math.min(most, steps + 1);
      vertical[x] = bits[at] === 0 ? 0 : Math.min(most, vertical[x] + 1);
      depth[at] = Math.min(steps, vertical[x]);
    }
  vertical.fill(openBottom);
  for (let y = height - 1, at = bits.length - 1; y >= 0; y--)
    for (let x = width - 1, steps = openRight; x >= 0; x--, at--) {
      steps = bits[at] === 0 ? 0 : Math.min(most, steps + 1);
      vertical[x] = bits[at] === 0 ? 0 : Math.min(most, vertical[x] + 1);
      depth[at] = Math.min(depth[at], steps, vertical[x]);
    }
  return depth;
}
