// Writes datasets: a folder for each split, in Roboflow's COCO layout or in YOLO's. A dataset is written whole or not
// at all.
import { constants, copyFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { stringify } from "yaml";
import { DataError, InternalError } from "../../support/errors.js";
import { makeFolder, writeFailure } from "../../support/files/atomic.js";
import { isTaken, scratchPath } from "../../support/files/scratch.js";
import { longestName, shortName } from "../../support/files/short-name.js";
import { checkArgument, filePath } from "../../support/options.js";
import type { Split } from "../formats/dataset.js";
import { isEntry, readId } from "../formats/entries.js";
import { isClutter, isInside, spellingKey } from "../formats/find-file.js";
import type { ListedClass } from "../formats/listing.js";
import { readImageHeader } from "../images/image-header.js";
import { imageExtensions } from "../images/image-kinds.js";
import { type SplitCounts, verifyCopy } from "./verify-copy.js";

/** An object to write. */
export interface WrittenBox {
  /** Index of its class. */
  label: number;
  /** Left, top, width and height in pixels. */
  box: readonly [x: number, y: number, width: number, height: number];
  /** Fields of a COCO annotation to keep beside those that are written here. */
  entry: Readonly<Record<string, unknown>>;
  /** The line of a YOLO label file to write in place of label and box. */
  line?: string;
}

/** An image to write. */
export interface WrittenImage {
  /** Path of the file, which is linked, or copied where links are not possible. */
  file: string;
  /** Name under the folder of the split; made unique where two images have the same. */
  name: string;
  /** Pixels of the frame that the boxes refer to. */
  width: number;
  height: number;
  boxes: readonly WrittenBox[];
  /** Fields of a COCO image to keep. */
  entry: Readonly<Record<string, unknown>>;
}

/** A dataset to write. */
export interface WrittenDataset {
  layout: "coco" | "yolo";
  classNames: readonly string[];
  /** COCO category ids, one for each class. */
  categoryIds: readonly number[];
  splits: Partial<Record<Split, { images: readonly WrittenImage[]; rest: Readonly<Record<string, unknown>> }>>;
  /** Keys of data.yaml to keep beside those that are written here. */
  yaml?: Readonly<Record<string, unknown>>;
}

/** How a dataset is written. */
export interface WriteOptions {
  /** Folder of the dataset that is copied: a copy inside of it would become a part of it. */
  source: string;
  /** Whether the copy is read with its pictures turned as their EXIF tag says (default true). */
  autoOrient?: boolean;
}

/** @throws DataError if there is a folder or file of this name, which a copy never replaces */
export function refuseExisting(target: string): void {
  checkArgument("target", target, filePath);
  if (isTaken(target)) throw new DataError(`Expected a folder that does not exist yet for the copy but ${target} does`);
}

/**
 * Writes a dataset to a new folder, and reads it back before it gets its name.
 * @returns the numbers of images and annotations in each split
 * @throws DataError if the folder exists, is inside the dataset that is copied, or the copy could not be trained on
 * @throws RunDirectoryError if it cannot be written; nothing is left then
 */
export function writeDataset(target: string, dataset: WrittenDataset, options: WriteOptions): SplitCounts {
  const { source, autoOrient = true } = options;
  if (isInside(resolve(source), resolve(target)))
    throw new DataError(`Expected a folder outside of the dataset ${source} for the copy but received ${target}`);
  refuseExisting(target);
  const counts = countsOf(dataset);
  makeFolder(dirname(resolve(target)));
  const temporary = scratchPath(target);
  try {
    mkdirSync(temporary);
  } catch (error) {
    throw writeFailure(target, error);
  }
  try {
    for (const [split, { images, rest }] of Object.entries(dataset.splits)) {
      const named = uniqueNames(images);
      if (dataset.layout === "yolo") writeYolo(join(temporary, split), named);
      else writeCoco(join(temporary, split), named, rest, dataset);
    }
    if (dataset.layout === "yolo") writeFileSync(join(temporary, "data.yaml"), yamlOf(dataset));
    verifyCopy(temporary, counts, autoOrient);
    renameSync(temporary, target);
    return counts;
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true });
    throw writeFailure(target, error);
  }
}

function countsOf({ splits }: WrittenDataset): SplitCounts {
  return Object.fromEntries(
    Object.entries(splits).map(([split, { images }]) => {
      const annotations = images.reduce((sum, { boxes }) => sum + boxes.length, 0);
      return [split, { images: images.length, annotations }];
    }),
  );
}

/** Images with the names that they get in the dataset. */
type NamedImages = readonly (readonly [name: string, image: WrittenImage])[];

function writeCoco(
  folder: string,
  images: NamedImages,
  rest: Readonly<Record<string, unknown>>,
  { classNames, categoryIds }: WrittenDataset,
): void {
  mkdirSync(folder);
  const annotations: Record<string, unknown>[] = [];
  const imageIds = ownIds(images.map(([, { entry }]) => entry.id));
  const boxIds = ownIds(images.flatMap(([, { boxes }]) => boxes.map(({ entry }) => entry.id)));
  const listed = images.map(([name, { file, width, height, boxes, entry }], i) => {
    putFile(file, folder, name);
    for (const { label, box, entry: annotation } of boxes)
      annotations.push({
        area: box[2] * box[3],
        iscrowd: 0,
        ...annotation,
        id: boxIds[annotations.length],
        image_id: imageIds[i],
        category_id: categoryIds[label],
        bbox: box,
      });
    return { ...entry, id: imageIds[i], file_name: name, width, height };
  });
  const known = new Map(
    (Array.isArray(rest.categories) ? rest.categories : []).filter(isEntry).map((entry) => [readId(entry.id), entry]),
  );
  const categories = classNames.map((name, i) => {
    const id = categoryIds[i];
    return { supercategory: "none", ...known.get(id), id, name };
  });
  writeFileSync(
    join(folder, "_annotations.coco.json"),
    JSON.stringify({ ...rest, images: listed, annotations, categories }),
  );
}

/** The ids that entries have, or new ones if these are not all different whole numbers. */
function ownIds(ids: readonly unknown[]): number[] {
  const own = ids.filter((id): id is number => Number.isSafeInteger(id));
  return new Set(own).size === ids.length ? own : ids.map((_, i) => i);
}

function writeYolo(folder: string, images: NamedImages): void {
  mkdirSync(folder);
  for (const part of ["images", "labels"]) mkdirSync(join(folder, part));
  for (const [name, { file, width, height, boxes }] of images) {
    putFile(file, join(folder, "images"), name);
    const path = join(folder, "labels", `${withoutExtension(name)}.txt`);
    mkdirSync(dirname(path), { recursive: true });
    const lines = boxes.map(
      ({ label, box: [x, y, w, h], line }) =>
        line ?? [label, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height].join(" "),
    );
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  }
}

function yamlOf({ classNames, splits, yaml }: WrittenDataset): string {
  const folders: [key: string, split: Split][] = [
    ["train", "train"],
    ["val", "valid"],
    ["test", "test"],
  ];
  const named = folders
    .filter(([, split]) => splits[split] !== undefined)
    .map(([key, split]) => [key, `${split}/images`]);
  return stringify({ ...yaml, ...Object.fromEntries(named), nc: classNames.length, names: [...classNames] });
}

/** A link where the system can make one, else a copy. Never writes over a file. */
export function putFile(from: string, folder: string, name: string): void {
  const to = join(folder, name);
  if (!isInside(folder, to)) throw new InternalError(`The name ${JSON.stringify(name)} leads out of the copy`);
  mkdirSync(dirname(to), { recursive: true });
  try {
    symlinkSync(resolve(from), to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error;
    copyFileSync(from, to, constants.COPYFILE_EXCL);
  }
}

/** Category ids for a COCO file: those of the classes if all are whole numbers, else from 1. */
export function categoryIdsOf(classes: readonly ListedClass[]): number[] {
  const own = classes.map(({ id }) => id).filter((id): id is number => Number.isSafeInteger(id));
  return own.length === classes.length ? own : classes.map((_, i) => i + 1);
}

const extensions = {
  JPEG: ".jpg",
  PNG: ".png",
  WebP: ".webp",
  BMP: ".bmp",
  TIFF: ".tif",
  GIF: ".gif",
  AVIF: ".avif",
} as const;

/** A name that every reader finds: its parts are visible, none leads out of the folder, it ends as its kind does. */
function readableName({ name, file }: WrittenImage): string {
  const parts = name.split("/").filter((part) => part !== "" && part !== "." && part !== "..");
  const shown = parts.map((part) => part.replaceAll("\\", "_")).map((part) => (isClutter(part) ? `_${part}` : part));
  const last = shown.pop() ?? "image";
  const folder = shown.map((part) => `${part}/`).join("");
  if (imageExtensions.has(extname(last).toLowerCase())) return folder + last;
  const extension = extensions[readImageHeader(file).format];
  return folder + shortName(last, longestName - extension.length) + extension;
}

const withoutExtension = (name: string): string => name.slice(0, name.length - extname(name).length);

/**
 * Names that differ without their extensions and in more than case, because labels are named after images and some
 * systems ignore case.
 */
function uniqueNames(images: readonly WrittenImage[]): NamedImages {
  const taken = new Set<string>();
  return images.map((image) => {
    const plain = readableName(image);
    const stem = withoutExtension(plain);
    let name = plain;
    for (let n = 2; taken.has(spellingKey(withoutExtension(name))); n++) name = `${stem}-${n}${extname(plain)}`;
    taken.add(spellingKey(withoutExtension(name)));
    return [name, image];
  });
}

/** Path of a file under the folder that it was found in, for a name in a copy; its base name if it is elsewhere. */
export function nameUnder(folders: readonly string[], file: string): string {
  const inside = folders.filter((folder) => isInside(resolve(folder), resolve(file)));
  const paths = inside.map((folder) => relative(resolve(folder), resolve(file)));
  const shortest = paths.sort((a, b) => a.length - b.length)[0];
  return shortest === undefined ? (file.split(sep).at(-1) as string) : shortest.split(sep).join("/");
}
