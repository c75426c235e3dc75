// How often each image comes in an epoch: repeat factors of rare classes, and shares of datasets.

import { largestOf } from "../../support/lists.js";
import type { DatasetImage } from "../formats/dataset.js";

/** A dataset among several: its images lie side by side in the joined one. */
export interface SampledPart {
  /** Index of its first image. */
  from: number;
  /** Index after its last image. */
  to: number;
  /** Share of the places of an epoch, from 0 to 1; null leaves it to the number of images. */
  share: number | null;
}

/** How the images of an epoch are drawn. */
export interface Sampling {
  /** `[images]` how often each image comes in an epoch on average. */
  factors: Float64Array;
  parts: readonly SampledPart[];
}

/**
 * How the images are drawn.
 * @param threshold share of the images below which a class counts as rare; 0 repeats none
 * @returns null where every image comes once
 */
export function samplingOf(
  images: readonly Pick<DatasetImage, "labels">[],
  threshold: number,
  parts: readonly SampledPart[] = [],
): Sampling | null {
  const shared = parts.some(({ share }) => share !== null);
  if (threshold === 0 && !shared) return null;
  const factors = repeatFactors(images, threshold);
  const blocks = parts.length === 0 ? [{ from: 0, to: images.length, share: null }] : parts;
  if (!shared) return { factors, parts: blocks };
  const total = sumOf(factors);
  for (const { from, to, share } of blocks) {
    const block = factors.subarray(from, to);
    const scale = (total * (share ?? 0)) / sumOf(block);
    block.forEach((factor, i) => {
      block[i] = factor * scale;
    });
  }
  return { factors, parts: blocks };
}

/**
 * Repeat-factor sampling (LVIS, Gupta et al. 2019, arXiv:1908.03195, appendix B.2): with f(c) the share of the images
 * that have class c, r(c) = max(1, √(t ÷ f(c))), and an image comes as often as the largest r of its classes says.
 * @param threshold t
 * @returns `[images]` 1 or more
 * @internal for tests
 */
export function repeatFactors(images: readonly Pick<DatasetImage, "labels">[], threshold: number): Float64Array {
  const imagesOf = new Map<number, number>();
  for (const { labels } of images)
    for (const label of new Set(labels)) imagesOf.set(label, (imagesOf.get(label) ?? 0) + 1);
  const ofClass = (label: number): number => Math.sqrt((threshold * images.length) / (imagesOf.get(label) as number));
  return Float64Array.from(images, ({ labels }) => largestOf([...new Set(labels)].map(ofClass), 1));
}

export const sumOf = (numbers: Float64Array): number => numbers.reduce((sum, number) => sum + number, 0);
