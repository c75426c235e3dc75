// What a run is bound to: the images and annotations that it trains and validates on, as counts and a hash.
import { createHash } from "node:crypto";
import type { Dataset } from "../../data/index.js";

/** One split of the data of a run. */
export interface SplitContents {
  images: number;
  objects: number;
  /** SHA-256 of the names and sizes of the images with their boxes and classes, in their order. */
  sha256: string;
}

/** The splits that a run trains and validates on. */
export interface DataContents {
  train: SplitContents;
  valid: SplitContents;
}

/**
 * Counts and hashes a split. Names are relative to the folder that all images have in common, so a dataset may move.
 * Pixels and times of files do not count.
 */
export function splitContents({ images }: Pick<Dataset, "images">): SplitContents {
  const names = images.map(({ file }) => file.replaceAll("\\", "/"));
  const common = commonFolder(names);
  const hash = createHash("sha256");
  let objects = 0;
  images.forEach(({ width, height, boxes, labels, crowd }, i) => {
    objects += labels.length;
    hash.update(`${names[i].slice(common)}\0${width} ${height} ${labels.length} ${crowd.labels.length}\0`);
    for (const part of [boxes, labels, crowd.boxes, crowd.labels])
      hash.update(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
  });
  return { images: images.length, objects, sha256: hash.digest("hex") };
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
    if (old.sha256 === is.sha256) return [];
    if (old.images === is.images && old.objects === is.objects)
      return [`${split} has other files or annotations than before, in equal numbers`];
    return [`${split} had ${old.images} images with ${old.objects} objects and has ${is.images} with ${is.objects}`];
  });
}
