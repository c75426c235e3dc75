// Measures the phases of loading an image, and writes pictures to measure them on.

import { linkSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { augment } from "../../data/augment/config.js";
import type { DatasetImage } from "../../data/formats/dataset.js";
import { decodeFile } from "../../data/images/decode.js";
import { resize, scaleJitter } from "../../data/images/geometry.js";
import { sharp } from "../../data/images/sharp.js";
import { decodeLeast, type Recipe } from "../../data/loader/prepare-sample.js";
import { Rng } from "../../support/random.js";
import { sidesOf } from "../../support/shape.js";
import { type Spread, spread } from "../../support/statistics.js";

/** Pictures to write. */
export interface PhotoFolder {
  /** Training images. */
  images: number;
  width: number;
  height: number;
}

/**
 * Number of different pictures. The others are links to them under other names, which the loader takes for new files.
 */
const different = 4;

/**
 * Writes a dataset of large JPEGs with eight boxes each. The pictures are blurred noise with grain, which has about
 * as many bytes per pixel as a photograph (0.3 to 0.4), and so takes as long to decode.
 * @returns mean size of a file in bytes
 */
export async function writePhotographs(root: string, { images, width, height }: PhotoFolder): Promise<number> {
  for (const [split, count] of [
    ["train", images],
    ["valid", 1],
  ] as const) {
    const folder = join(root, split);
    mkdirSync(folder, { recursive: true });
    for (let i = 0; i < count; i++) {
      const file = join(folder, `${i}.jpg`);
      if (i < different) writeFileSync(file, await photograph(width, height, i));
      else linkSync(join(folder, `${i % different}.jpg`), file);
    }
    writeFileSync(join(folder, "_annotations.coco.json"), JSON.stringify(annotations(count, width, height)));
  }
  const written = Array.from(
    { length: Math.min(images, different) },
    (_, i) => statSync(join(root, "train", `${i}.jpg`)).size,
  );
  return Math.round(written.reduce((a, b) => a + b) / written.length);
}

async function photograph(width: number, height: number, seed: number): Promise<Buffer> {
  const [w, h] = [Math.ceil(width / 64), Math.ceil(height / 64)];
  const rng = new Rng("photograph", seed);
  const shapes = Uint8Array.from({ length: w * h * 3 }, () => rng.integer(40, 215));
  const side = Math.min(512, width, height);
  const grain = Uint8Array.from({ length: side * side * 3 }, () => rng.integer(80, 175));
  const tile = await sharp(grain, { raw: { width: side, height: side, channels: 3 } })
    .png({ compressionLevel: 0 })
    .toBuffer();
  const blurred = await sharp(shapes, { raw: { width: w, height: h, channels: 3 } })
    .resize(width, height, { fit: "fill", kernel: "cubic" })
    .raw()
    .toBuffer();
  return sharp(blurred, { raw: { width, height, channels: 3 } })
    .composite([{ input: tile, tile: true, blend: "soft-light" }])
    .jpeg({ quality: 90 })
    .toBuffer();
}

function annotations(images: number, width: number, height: number): object {
  const rng = new Rng("boxes");
  return {
    images: Array.from({ length: images }, (_, i) => ({ id: i, file_name: `${i}.jpg`, width, height })),
    categories: [{ id: 1, name: "thing" }],
    annotations: Array.from({ length: images * 8 }, (_, i) => {
      const [w, h] = [rng.uniform(0.05, 0.3) * width, rng.uniform(0.05, 0.3) * height];
      const bbox = [rng.uniform(0, width - w), rng.uniform(0, height - h), w, h];
      return { id: i + 1, image_id: i >> 3, category_id: 1, bbox, area: w * h, iscrowd: 0 };
    }),
  };
}

/** Milliseconds for one image: decoding, resizing to the square (jitter included), augmentation. */
export interface PreparationBench {
  decode: Spread;
  resize: Spread;
  augment: Spread;
}

/** Prepares images on this thread, phase by phase. @throws DataError naming an image that does not decode */
export async function benchPreparation(images: readonly DatasetImage[], recipe: Recipe): Promise<PreparationBench> {
  const laps = { decode: [] as number[], resize: [] as number[], augment: [] as number[] };
  for (const [i, image] of images.entries()) {
    const start = performance.now();
    const decoded = await decodeFile(image.file, { orientation: image.orientation, atLeast: decodeLeast(recipe) });
    laps.decode.push(performance.now() - start);
    const rng = new Rng("bench", i);
    const began = performance.now();
    const whole = { ...decoded, boxes: image.boxes, labels: image.labels };
    const [toHeight, toWidth] = sidesOf(recipe.size);
    const square = recipe.scaleJitter ? scaleJitter(whole, toWidth, toHeight, rng) : resize(whole, toWidth, toHeight);
    const resized = performance.now();
    augment(square, recipe.augment, rng);
    laps.resize.push(resized - began);
    laps.augment.push(performance.now() - resized);
  }
  return { decode: spread(laps.decode), resize: spread(laps.resize), augment: spread(laps.augment) };
}
