// Masks in the colours of their classes, in the pixels of a picture.
import { maskBox } from "../../masks/mask.js";
import { maskWindow, type Window } from "../../masks/segments.js";
import { readableOn } from "../../support/class-colors.js";
import type { RawImage } from "../inputs/picture.js";
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
  const data = picture.data.slice();
  const painted = new Uint8Array(width * height);
  const colorOf = colorsOf(options.classNames ?? []);
  const edge = Math.max(1, Math.round(lineOf(width, height, options.lineWidth) * 0.5));
  for (const detection of masked) {
    const color = colorOf(detection);
    const paints = { edge: channelsOf(color), halo: channelsOf(readableOn(color)) };
    const inner = detection.look === "faint" ? 0 : detection.look === "dashed" ? weakStrength : strength;
    const layer = layerOf(detection, width, height, edge);
    if (layer === null) continue;
    const { window, bits, withoutEdge, withoutHalo } = layer;
    const [left, top, right] = window;
    const columns = right - left;
    for (let i = 0; i < bits.length; i++) {
      if (bits[i] === 0) continue;
      const at = (top + Math.floor(i / columns)) * width + left + (i % columns);
      if (painted[at] === 1) continue;
      painted[at] = 1;
      const isHalo = withoutEdge[i] === 1 && withoutHalo[i] === 0;
      const paint = isHalo ? paints.halo : paints.edge;
      const share = withoutEdge[i] === 0 ? 1 : isHalo ? haloStrength : inner;
      for (let c = 0; c < 3; c++) data[at * 3 + c] = Math.round(data[at * 3 + c] * (1 - share) + paint[c] * share);
    }
  }
  return { ...picture, data };
}

const channelsOf = (color: string): number[] => [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));

/** A mask at the size of the picture, around the object: its pixels, and those inside of the edge and of the halo. */
function layerOf(
  { mask }: LabelledBox,
  width: number,
  height: number,
  edge: number,
): { window: Window; bits: Uint8Array; withoutEdge: Uint8Array; withoutHalo: Uint8Array } | null {
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
  const [columns, halo] = [window[2] - window[0], Math.ceil(edge / 2)];
  const [withoutEdge, withoutHalo] = [edge, edge + halo].map((reach) => erode(bits, columns, reach, open));
  return { window, bits, withoutEdge, withoutHalo };
}

/**
 * The pixels whose neighbours within `reach`, to the left, right, top and bottom, are all set.
 * @param open whether pixels go on beyond the left, right, top and bottom
 */
function erode(bits: Uint8Array, width: number, reach: number, open: readonly boolean[]): Uint8Array {
  const height = bits.length / width;
  const kept = bits.slice();
  /** Goes through a row or a column from one end: pixels that lie too near behind a gap are dropped. */
  const pass = (from: number, step: number, count: number, openEnd: boolean): void => {
    let since = openEnd ? reach : 0;
    for (let i = 0, at = from; i < count; i++, at += step) {
      if (bits[at] === 0) since = 0;
      else if (since < reach) {
        kept[at] = 0;
        since++;
      }
    }
  };
  for (let y = 0; y < height; y++) {
    pass(y * width, 1, width, open[0]);
    pass((y + 1) * width - 1, -1, width, open[1]);
  }
  for (let x = 0; x < width; x++) {
    pass(x, width, height, open[2]);
    pass((height - 1) * width + x, -width, height, open[3]);
  }
  return kept;
}
