// A split as its files describe it, before anything is checked.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type CocoAnnotation, classCategories, parseCoco } from "../formats/coco-file.js";
import { findCocoSplit } from "../formats/coco-split.js";
import type { Split } from "../formats/dataset.js";
import { openDataset } from "../formats/open.js";
import { findYoloFile } from "../formats/yolo.js";
import { decodeFile } from "../images/decode.js";

/** An image as the annotations describe it. */
export interface ListedImage {
  id: number;
  /** Name in the annotations. */
  name: string;
  /** Path of the file. */
  file: string;
  /** Pixels. */
  width: number;
  height: number;
}

/** What was found under the path of an image: its size in pixels, or why there is none. */
export type FileState = { width: number; height: number } | { fault: "missing" | "undecodable"; reason: string };

/** A split, with the maps that its checks use. */
export interface Listing {
  layout: string;
  split: Split;
  /** The annotation file, or data.yaml. */
  source: string;
  images: readonly ListedImage[];
  annotations: readonly CocoAnnotation[];
  /** Ids of the categories that training knows. */
  categories: ReadonlySet<number>;
  /** The first image of each id and of each name. */
  imageById: ReadonlyMap<number, ListedImage>;
  imageByName: ReadonlyMap<string, ListedImage>;
  /** The first annotation of each id. */
  annotationById: ReadonlyMap<number, CocoAnnotation>;
  /** Ids of the images that have an annotation. */
  annotated: ReadonlySet<number>;
  /** By path; empty until {@link readFiles} has run. */
  files: Map<string, FileState>;
}

/**
 * Reads a split's annotations, in any layout.
 * @returns null if the folder has no such split
 * @throws DataError if the annotations cannot be read
 */
export function listSplit(root: string, split: Split): Listing | null {
  if (findCocoSplit(root, split) !== null) return listCoco(root, split);
  const source = findYoloFile(root);
  return source === null ? null : listYolo(root, split, source);
}

/** Category ids of the classes of a COCO dataset: those of the train split, or of `annotations` if there is none. */
export function trainingCategories(root: string, annotations: string): Set<number> {
  const content = parseCoco(findCocoSplit(root, "train")?.annotations ?? annotations);
  return new Set(classCategories(content).map(({ id }) => id));
}

function listCoco(root: string, split: Split): Listing {
  const found = findCocoSplit(root, split) as NonNullable<ReturnType<typeof findCocoSplit>>;
  const { images, annotations } = parseCoco(found.annotations);
  const listed = images.map(({ id, file_name: name, width, height }) => {
    return { id, name, file: join(found.images, name), width, height };
  });
  const categories = trainingCategories(root, found.annotations);
  return withIndex({ layout: found.layout, split, source: found.annotations, images: listed, annotations, categories });
}

/** The reader of YOLO files refuses malformed lines and clips boxes, so a listing never has these faults. */
function listYolo(root: string, split: Split, source: string): Listing {
  const dataset = openDataset(root, split);
  const annotations: CocoAnnotation[] = [];
  for (const { id, boxes, labels } of dataset.images)
    labels.forEach((label, i) => {
      const [left, top, right, bottom] = boxes.subarray(i * 4, i * 4 + 4);
      const bbox: CocoAnnotation["bbox"] = [left, top, right - left, bottom - top];
      annotations.push({ id: annotations.length, image_id: id, category_id: label, bbox });
    });
  const images = dataset.images.map(({ id, file, width, height }) => ({ id, name: file, file, width, height }));
  return withIndex({
    layout: dataset.layout,
    split,
    source,
    images,
    annotations,
    categories: new Set(dataset.categoryIds),
  });
}

type Plain = Pick<Listing, "layout" | "split" | "source" | "images" | "annotations" | "categories">;

function withIndex(plain: Plain): Listing {
  const { images, annotations } = plain;
  const firstBy = <T, K>(list: readonly T[], key: (entry: T) => K): Map<K, T> =>
    new Map([...list].reverse().map((entry) => [key(entry), entry]));
  return {
    ...plain,
    imageById: firstBy(images, ({ id }) => id),
    imageByName: firstBy(images, ({ name }) => name),
    annotationById: firstBy(annotations, ({ id }) => id),
    annotated: new Set(annotations.map(({ image_id: id }) => id)),
    files: new Map(),
  };
}

/** Decodes every image of a split and keeps its size, or why it has none. */
export async function readFiles(
  { images, files }: Listing,
  { signal, onProgress }: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void },
): Promise<void> {
  for (const [i, { file }] of images.entries()) {
    signal?.throwIfAborted();
    if (!files.has(file)) files.set(file, await stateOf(file));
    onProgress?.(i + 1, images.length);
  }
}

async function stateOf(file: string): Promise<FileState> {
  if (!existsSync(file)) return { fault: "missing", reason: "there is no such file" };
  try {
    return (await decodeFile(file)).original;
  } catch (error) {
    return { fault: "undecodable", reason: (error as Error).message.replace(/^.* does not decode: /, "") };
  }
}
