// The synthetic dataset: emoji on cluttered backgrounds, in Roboflow's COCO layout. The same seed gives the same
// images.
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { encodeMask, type Mask, maskArea } from "../../masks/mask.js";
import { placeMask } from "../../masks/segments.js";
import { DataError } from "../../support/errors.js";
import { makeFolder, removeEmpty, writeFailure } from "../../support/files/atomic.js";
import { isTaken, scratchPath } from "../../support/files/scratch.js";
import {
  abortSignal,
  callback,
  checkArgument,
  checkOptions,
  filePath,
  type OptionKind,
  type OptionKinds,
} from "../../support/options.js";
import { Rng } from "../../support/random.js";
import type { CocoContent } from "../formats/coco-types.js";
import type { Split } from "../formats/dataset.js";
import { sharp } from "../images/sharp.js";
import { emojiClasses, rasteriseSprites, type Sprite, spriteLicences } from "./synth-sprites.js";

/** What a synthetic dataset is made of. */
export interface SynthOptions {
  /** Training images; the valid split has a sixth of that, the test split a thirtieth. */
  images?: number;
  /** Side of the square images, in pixels, from 64 to 4096. */
  size?: number;
  /** From 1 to 24. */
  classes?: number;
  seed?: number;
  signal?: AbortSignal;
  onProgress?: (done: number, total: number) => void;
}

const integer = (least: number, most: number): OptionKind => ({
  takes: `integer from ${least} to ${most}`,
  fits: (value) => Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most,
});
const synthOptions: OptionKinds<SynthOptions> = {
  images: integer(1, 1_000_000),
  size: integer(64, 4096),
  classes: integer(1, emojiClasses.length),
  seed: integer(0, Number.MAX_SAFE_INTEGER),
  signal: abortSignal,
  onProgress: callback,
};

/** What a split is made of. */
interface SplitOptions extends Required<Pick<SynthOptions, "size" | "classes" | "seed">> {
  count: number;
  sprites: readonly Sprite[];
  signal: AbortSignal | undefined;
  /** Called after each image. */
  onImage: () => void;
}

interface Placed {
  box: [left: number, top: number, right: number, bottom: number];
  label: number;
  /** Its pixels that no other sprite covers. */
  mask: Mask;
}

/**
 * Writes the train, valid and test splits, with the box and the visible pixels of each object. The folder appears as a
 * whole or not at all.
 * @returns the number of images in each split
 * @throws UsageError if an option is out of range
 * @throws DataError if the folder exists already
 * @example
 * import { synthesize } from "rfdetr/data";
 * await synthesize("datasets/demo", { images: 200, classes: 4, seed: 1 });
 */
export async function synthesize(folder: string, options: SynthOptions = {}): Promise<Record<Split, number>> {
  checkOptions("synthesize", options, synthOptions);
  checkArgument("folder", folder, filePath);
  const { images = 1500, size = 256, classes = 8, seed = 0, signal, onProgress } = options;
  if (isTaken(folder))
    throw new DataError(
      `Expected a folder that does not exist yet but ${folder} does: choose another one, or remove it`,
    );
  const sprites = await rasteriseSprites(classes);
  const counts: Record<Split, number> = {
    train: images,
    valid: Math.max(1, Math.round(images / 6)),
    test: Math.max(1, Math.round(images / 30)),
  };
  const total = counts.train + counts.valid + counts.test;
  const made = makeFolder(dirname(resolve(folder)));
  const temporary = scratchPath(folder);
  try {
    let done = 0;
    const onImage = (): void => onProgress?.(++done, total);
    for (const split of ["train", "valid", "test"] as const)
      await writeSplit(temporary, split, { count: counts[split], size, classes, seed, sprites, signal, onImage });
    await writeFile(join(temporary, "LICENSES.txt"), `The sprites in these images come from:\n\n${spriteLicences()}`);
    await rename(temporary, folder);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true }).catch(() => {});
    removeEmpty(made);
    throw writeFailure(folder, error);
  }
  return counts;
}

/** Draws the images of one split and writes them with their annotations. */
async function writeSplit(root: string, split: Split, options: SplitOptions): Promise<void> {
  const { count, size, classes, seed, sprites } = options;
  const folder = join(root, split);
  await mkdir(folder, { recursive: true });
  const content: CocoContent = {
    info: { description: `Synthetic emoji, seed ${seed}`, licences: "see LICENSES.txt" },
    images: [],
    annotations: [],
    categories: sprites
      .slice(0, classes)
      .map(({ className: name }, i) => ({ id: i + 1, name, supercategory: "emoji" })),
  };
  const writing = new Set<Promise<unknown>>();
  for (let i = 0; i < count; i++) {
    options.signal?.throwIfAborted();
    const rng = new Rng("synth", seed, split, i);
    const pixels = background(size, rng);
    const placed = placeSprites(pixels, size, sprites, classes, rng);
    const name = `${split}-${String(i).padStart(5, "0")}.jpg`;
    const task = sharp(pixels, { raw: { width: size, height: size, channels: 3 } })
      .jpeg({ quality: 90 })
      .toBuffer()
      .then((bytes) => writeFile(join(folder, name), bytes))
      .finally(() => writing.delete(task));
    writing.add(task);
    content.images.push({ id: i, file_name: name, width: size, height: size });
    for (const { box, label, mask } of placed)
      content.annotations.push({
        id: content.annotations.length + 1,
        image_id: i,
        category_id: label + 1,
        bbox: [box[0], box[1], box[2] - box[0], box[3] - box[1]],
        area: maskArea(mask),
        iscrowd: 0,
        segmentation: toCocoRuns(mask),
      });
    // Drawing runs on this thread, encoding on the threads of sharp; a few images ahead keep both busy.
    if (writing.size >= 8) await Promise.race(writing);
    options.onImage();
  }
  await Promise.all(writing);
  await writeFile(join(folder, "_annotations.coco.json"), JSON.stringify(content));
}

/**
 * A smooth field of random colours with rectangles and ellipses on it, so that an edge alone does not give an object
 * away.
 */
function background(size: number, rng: Rng): Uint8Array {
  const cells = rng.integer(2, 5);
  const knots = Float64Array.from({ length: (cells + 1) ** 2 * 3 }, () => rng.uniform(20, 235));
  const pixels = new Uint8Array(size * size * 3);
  const place = Float64Array.from({ length: size }, (_, i) => (i * cells) / size);
  const ease = (t: number): number => t * t * (3 - 2 * t);
  for (let y = 0; y < size; y++) {
    const row = Math.floor(place[y]);
    const fy = ease(place[y] - row);
    for (let x = 0; x < size; x++) {
      const column = Math.floor(place[x]);
      const fx = ease(place[x] - column);
      const a = (row * (cells + 1) + column) * 3;
      const b = a + (cells + 1) * 3;
      for (let c = 0; c < 3; c++) {
        const top = knots[a + c] + (knots[a + 3 + c] - knots[a + c]) * fx;
        const bottom = knots[b + c] + (knots[b + 3 + c] - knots[b + c]) * fx;
        pixels[(y * size + x) * 3 + c] = top + (bottom - top) * fy;
      }
    }
  }
  for (let shapes = rng.integer(3, 10); shapes > 0; shapes--) drawShape(pixels, size, rng);
  return pixels;
}

function drawShape(pixels: Uint8Array, size: number, rng: Rng): void {
  const ellipse = rng.chance(0.5);
  const [cx, cy] = [rng.uniform(0, size), rng.uniform(0, size)];
  const [rx, ry] = [rng.uniform(0.03, 0.25) * size, rng.uniform(0.03, 0.25) * size];
  const colour = [rng.uniform(0, 255), rng.uniform(0, 255), rng.uniform(0, 255)];
  const opacity = rng.uniform(0.3, 1);
  for (let y = Math.max(0, Math.floor(cy - ry)); y < Math.min(size, cy + ry); y++)
    for (let x = Math.max(0, Math.floor(cx - rx)); x < Math.min(size, cx + rx); x++) {
      if (ellipse && ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 > 1) continue;
      const at = (y * size + x) * 3;
      for (let c = 0; c < 3; c++) pixels[at + c] += (colour[c] - pixels[at + c]) * opacity;
    }
}

/** Alpha from which a pixel belongs to its sprite: at least half opaque. */
const opaque = 128;

/** Largest share of a sprite that another sprite may cover. */
const mostCovered = 0.25;

/** Draws one to six sprites: sides of 12 to 40 % of the image, rotated by up to 25°, half of them mirrored. */
function placeSprites(
  pixels: Uint8Array,
  size: number,
  sprites: readonly Sprite[],
  classes: number,
  rng: Rng,
): Placed[] {
  const placed: Omit<Placed, "mask">[] = [];
  // Number of the sprite that a pixel shows, from 1.
  const shown = new Uint8Array(size * size);
  const wanted = rng.integer(1, 6);
  for (let tries = 0; placed.length < wanted && tries < wanted * 8; tries++) {
    const label = rng.integer(0, classes - 1);
    const sprite = sprites[rng.integer(0, sprites.length / classes - 1) * classes + label];
    const stamp = turn(sprite, rng.uniform(0.12, 0.4) * size, rng.uniform(-25, 25), rng.chance(0.5));
    if (stamp === null || stamp.width >= size || stamp.height >= size) continue;
    const [left, top] = [rng.integer(0, size - stamp.width), rng.integer(0, size - stamp.height)];
    const box: Placed["box"] = [left, top, left + stamp.width, top + stamp.height];
    if (placed.some((other) => covered(box, other.box) > mostCovered)) continue;
    for (let y = 0; y < stamp.height; y++)
      for (let x = 0; x < stamp.width; x++) {
        const from = (y * stamp.width + x) * 4;
        const to = ((top + y) * size + left + x) * 3;
        const rest = 1 - stamp.data[from + 3] / 255;
        if (stamp.data[from + 3] >= opaque) shown[(top + y) * size + left + x] = placed.length + 1;
        for (let c = 0; c < 3; c++) pixels[to + c] = stamp.data[from + c] + pixels[to + c] * rest;
      }
    placed.push({ box, label });
  }
  return placed.map((each, i) => ({ ...each, mask: visible(shown, size, each.box, i + 1) }));
}

/** The pixels of a box that show the sprite of a number. */
function visible(shown: Uint8Array, size: number, [left, top, right, bottom]: Placed["box"], number: number): Mask {
  const [width, height] = [right - left, bottom - top];
  const bits = new Uint8Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) if (shown[(top + y) * size + left + x] === number) bits[y * width + x] = 1;
  return placeMask(encodeMask(bits, height, width), left, top, size, size);
}

/** The larger share of either box that lies in the other. */
function covered(a: Placed["box"], b: Placed["box"]): number {
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const h = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (w <= 0 || h <= 0) return 0;
  return (w * h) / Math.min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]));
}

/** A sprite scaled to `target` pixels, rotated and mirrored, cropped to the pixels that are at least half opaque. */
function turn(
  sprite: Sprite,
  target: number,
  degrees: number,
  mirror: boolean,
): { data: Float32Array; width: number; height: number } | null {
  const level = [...sprite.levels].reverse().find((l) => l.size >= target) ?? sprite.levels[0];
  const scale = target / level.size;
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const side = Math.ceil(target * (Math.abs(cos) + Math.abs(sin))) + 2;
  const whole = new Float32Array(side * side * 4);
  let [left, top, right, bottom] = [side, side, 0, 0];
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const [dx, dy] = [x + 0.5 - side / 2, y + 0.5 - side / 2];
      const along = (cos * dx + sin * dy) / scale;
      const u = (mirror ? -along : along) + level.size / 2 - 0.5;
      const v = (cos * dy - sin * dx) / scale + level.size / 2 - 0.5;
      const [x0, y0] = [Math.floor(u), Math.floor(v)];
      if (x0 < -1 || y0 < -1 || x0 >= level.size || y0 >= level.size) continue;
      const [fx, fy] = [u - x0, v - y0];
      const to = (y * side + x) * 4;
      for (let k = 0; k < 4; k++) {
        const [xx, yy] = [x0 + (k & 1), y0 + (k >> 1)];
        if (xx < 0 || yy < 0 || xx >= level.size || yy >= level.size) continue;
        const weight = (k & 1 ? fx : 1 - fx) * (k >> 1 ? fy : 1 - fy);
        const from = (yy * level.size + xx) * 4;
        for (let c = 0; c < 4; c++) whole[to + c] += level.data[from + c] * weight;
      }
      if (whole[to + 3] < opaque) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x + 1);
      bottom = Math.max(bottom, y + 1);
    }
  const [width, height] = [right - left, bottom - top];
  if (width < 8 || height < 8) return null;
  const data = new Float32Array(width * height * 4);
  for (let y = 0; y < height; y++)
    data.set(whole.subarray(((top + y) * side + left) * 4, ((top + y) * side + right) * 4), y * width * 4);
  return { data, width, height };
}
