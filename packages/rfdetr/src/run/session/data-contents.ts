// What a run is bound to: the images and annotations that it trains and validates on, as counts and a hash.
import { createHash, type Hash } from "node:crypto";
import { statSync } from "node:fs";
import type { Dataset } from "../../data/index.js";

/** One split of the data of a run. */
export interface SplitContents {
  images: number;
  objects: number;
  /** SHA-256 of the names and sizes of the images with their boxes, classes and outlines, in their order. */
  sha256: string;
  /** SHA-256 of the bytes that each file has, in their order. Records of earlier versions lack it. */
  sizes?: string;
  /** What stays the same in another layout or format of files. Records of earlier versions lack it. */
  alike?: {
    /** SHA-256 of the names of the images without folders, their sizes, and the names of the classes in each. */
    sha256: string;
    /** Mean of the boxes within their pictures, which formats round: left, top, right and bottom in pixels. */
    box: number[];
  };
}

/** The splits that a run trains and validates on. */
export interface DataContents {
  train: SplitContents;
  valid: SplitContents;
}

/**
 * Counts and hashes a split. Names are relative to the folder that all images of a dataset have in common, so it may
 * move. Of the files themselves the size counts; their pixels and times do not.
 */
export function splitContents({
  images,
  parts,
  classNames = [],
}: Pick<Dataset, "images" | "parts"> & Partial<Pick<Dataset, "classNames">>): SplitContents {
  const hash = createHash("sha256");
  for (const { from, to, share } of parts ?? [{ from: 0, to: images.length, share: null }]) {
    hashImages(hash, images.slice(from, to));
    // Of a single dataset the hash is that of earlier versions.
    if (parts !== undefined) hash.update(`${from} ${to} ${share}\0`);
  }
  const objects = images.reduce((sum, { labels }) => sum + labels.length, 0);
  return {
    images: images.length,
    objects,
    sha256: hash.digest("hex"),
    sizes: sizesOf(images),
    alike: alikeOf(images, classNames, objects),
  };
}

function sizesOf(images: Dataset["images"]): string {
  const hash = createHash("sha256");
  for (const { file } of images) hash.update(`${statSync(file, { throwIfNoEntry: false })?.size ?? 0}\n`);
  return hash.digest("hex");
}

function alikeOf(
  images: Dataset["images"],
  classNames: readonly string[],
  objects: number,
): NonNullable<SplitContents["alike"]> {
  const lines = images.map(({ file, width, height, labels, crowd }) => {
    const names = Array.from(labels, (label) => classNames[label] ?? String(label)).sort();
    return JSON.stringify([file.split(/[\\/]/).at(-1), width, height, crowd.labels.length, names]);
  });
  const sums = [0, 0, 0, 0];
  // YOLO has the part of a box that lies in its picture.
  for (const { boxes, width, height } of images)
    for (let i = 0; i < boxes.length; i++) sums[i % 4] += Math.min(Math.max(0, boxes[i]), i % 2 === 0 ? width : height);
  const box = sums.map((sum) => Number((sum / Math.max(1, objects)).toFixed(3)));
  return { sha256: createHash("sha256").update(lines.sort().join("\n")).digest("hex"), box };
}

function hashImages(hash: Hash, images: Dataset["images"]): void {
  const names = images.map(({ file }) => file.replaceAll("\\", "/"));
  const common = commonFolder(names);
  images.forEach(({ width, height, boxes, labels, outlines = [], crowd }, i) => {
    hash.update(`${names[i].slice(common)}\0${width} ${height} ${labels.length} ${crowd.labels.length}\0`);
    const shapes = outlines.flatMap((outline): (Float64Array | Uint32Array)[] =>
      outline === null ? [] : "mask" in outline ? [outline.mask.counts] : outline.polygons,
    );
    for (const part of [boxes, labels, crowd.boxes, crowd.labels, ...shapes])
      hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  });
}

/** Length of the folder, with its slash, that all paths begin with. */
function commonFolder(paths: readonly string[]): number {
  const [first = ""] = paths;
  let length = first.lastIndexOf("/") + 1;
  for (const path of paths)
    while (!path.startsWith(first.slice(0, length))) length = first.lastIndexOf("/", length - 2) + 1;
  return length;
}

/** How the data of a run differ from what it began with, a phrase for each split; empty where they do not. */
export function dataDifferences(before: DataContents, now: DataContents): string[] {
  return (["train", "valid"] as const).flatMap((split) => {
    const [old, is] = [before[split], now[split]];
    const replaced = old.sizes !== undefined && old.sizes !== is.sizes;
    if (old.sha256 === is.sha256)
      return replaced ? [`${split} has other pictures than before, under the same names`] : [];
    if (old.images === is.images && old.objects === is.objects)
      return [`${split} has other files or annotations than before, in equal numbers`];
    return [`${split} had ${old.images} images with ${old.objects} objects and has ${is.images} with ${is.objects}`];
  });
}

/** Which modules of own augmentations have changed, a phrase for each. @param before hashes by path, as `now` */
export function moduleDifferences(
  before: Readonly<Record<string, string>> = {},
  now: Readonly<Record<string, string>> = {},
): string[] {
  return Object.keys(now)
    .filter((module) => before[module] !== undefined && before[module] !== now[module])
    .map((module) => `${module} has changed, so augmentation differs from here on`);
}
