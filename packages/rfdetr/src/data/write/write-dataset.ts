// Writes datasets: a folder for each split, in Roboflow's COCO layout or in YOLO's. A dataset is written whole or not
// at all.
import { constants, copyFileSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { DataError, InternalError } from "../../support/errors.js";
import { makeFolder, removeEmpty, writeFailure } from "../../support/files/atomic.js";
import { isTaken, scratchPath, whileScratch } from "../../support/files/scratch.js";
import { longestName, shortName } from "../../support/files/short-name.js";
import { quotedYaml } from "../../support/files/yaml.js";
import { checkArgument, filePath } from "../../support/options.js";
import type { Entry } from "../formats/entries.js";
import { isClutter, isInside, spellingKey } from "../formats/find-file.js";
import { readImageHeader } from "../images/image-header.js";
import { imageExtensions } from "../images/image-kinds.js";
import { cocoContent } from "./coco-content.js";
import { type SplitCounts, verifyCopy } from "./verify-copy.js";
import type { NamedImages, WrittenDataset, WrittenImage } from "./written.js";

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
 * @returns the numbers of images and annotations in each split, and what is not as it was, one sentence each
 * @throws DataError if the folder exists, is inside the dataset that is copied, or the copy could not be trained on
 * @throws RunDirectoryError if it cannot be written; nothing is left then
 */
export function writeDataset(
  target: string,
  dataset: WrittenDataset,
  options: WriteOptions,
): { counts: SplitCounts; remarks: string[] } {
  const { source, autoOrient = true } = options;
  if (isInside(resolve(source), resolve(target)))
    throw new DataError(`Expected a folder outside of the dataset ${source} for the copy but received ${target}`);
  refuseExisting(target);
  const counts = countsOf(dataset);
  const remarks: string[] = [];
  const made = makeFolder(dirname(resolve(target)));
  try {
    whileScratch(scratchPath(target), (temporary) => {
      for (const [split, { images, rest }] of Object.entries(dataset.splits)) {
        const named = uniqueNames(images);
        const folder = join(temporary, split);
        mkdirSync(folder);
        if (dataset.layout === "yolo") writeYolo(folder, named);
        else for (const remark of writeCoco(folder, named, rest, dataset)) remarks.push(`${split}: ${remark}`);
      }
      if (dataset.layout === "yolo") writeFileSync(join(temporary, "data.yaml"), yamlOf(dataset));
      verifyCopy(temporary, counts, autoOrient);
      renameSync(temporary, target);
    });
    return { counts, remarks };
  } catch (error) {
    removeEmpty(made);
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

/** @returns what is not as it was */
function writeCoco(folder: string, images: NamedImages, rest: Entry | null, dataset: WrittenDataset): string[] {
  for (const [name, { file }] of images) putFile(file, folder, name);
  const { content, remarks } = cocoContent(images, rest, dataset);
  writeFileSync(join(folder, "_annotations.coco.json"), JSON.stringify(content));
  return remarks;
}

function writeYolo(folder: string, images: NamedImages): void {
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

function yamlOf({ classNames, splits, yaml = "" }: WrittenDataset): string {
  const folders = [
    ["train", "train"],
    ["val", "valid"],
    ["test", "test"],
  ] as const;
  const named = folders.filter(([, split]) => splits[split] !== undefined);
  const lines = named.map(([key, split]) => `${key}: ${split}/images`);
  const names = classNames.map((name) => `  - ${quotedYaml(name)}`);
  return [...lines, `nc: ${classNames.length}`, "names:", ...names, yaml].join("\n");
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
