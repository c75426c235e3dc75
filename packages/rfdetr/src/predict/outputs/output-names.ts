// What the files of predictions are called: like their images, below the folder that all images share.
import { basename, dirname, extname, join, relative, resolve, sep } from "node:path";
import { imageExtensions } from "../../data/images/image-kinds.js";
import { longestName, shortName } from "../../support/files/short-name.js";
import { fileNameOfImage, isLocal } from "../inputs/address.js";

/** Formats that pictures are written in; images in any other become JPEG. */
const writable: ReadonlySet<string> = new Set([".jpg", ".jpeg", ".png", ".webp"]);
/** Extensions of videos that hold what is written; all others get a second one. */
const writableVideos: ReadonlySet<string> = new Set([".mp4", ".m4v", ".mov"]);

/**
 * A name for the picture of each image: its path below the folder that all images share, so that images of the same
 * name in different folders keep different names. Pictures keep the format of their image where it can be written.
 */
export function pictureNames(files: readonly string[]): string[] {
  return names(files, writable, ".jpg");
}

/** The same for drawn videos, beside which a file with `.jsonl` behind the name lies. */
export function videoNames(files: readonly string[]): string[] {
  return names(files, writableVideos, ".mp4", ".jsonl".length);
}

function names(files: readonly string[], kept: ReadonlySet<string>, usual: string, room = 0): string[] {
  const taken = new Set<string>();
  return namesBelow(files).map((name) => {
    const extension = extname(name);
    const ending = kept.has(extension.toLowerCase()) ? extension : usual;
    const stem = fitting(ending === extension ? name.slice(0, -extension.length) : name, ending.length + room);
    let free = stem + ending;
    for (let n = 2; taken.has(free); n++) free = `${stem}-${n}${ending}`;
    taken.add(free);
    return free;
  });
}

/**
 * A name for the label file of each image: the path of the image below the folder that all share, with `.txt` in place
 * of its extension. The second of two images that differ in the extension only keeps it.
 */
export function labelNames(files: readonly string[]): string[] {
  const taken = new Set<string>();
  return namesBelow(files).map((name) => {
    const extension = extname(name);
    const stem = fitting(imageExtensions.has(extension.toLowerCase()) ? name.slice(0, -extension.length) : name, 4);
    let free = `${stem}.txt`;
    for (let n = 1; taken.has(free); n++) free = `${fitting(name, 10)}${n === 1 ? "" : `-${n}`}.txt`;
    taken.add(free);
    return join("labels", free);
  });
}

/** A path whose last part leaves `room` bytes for an ending. */
const fitting = (path: string, room: number): string =>
  join(dirname(path), shortName(basename(path), longestName - room));

/** The paths of files below the deepest folder that they share; of other images the name that a file would have. */
export function namesBelow(files: readonly string[]): string[] {
  const root = commonFolder(files.filter(isLocal).map((file) => resolve(file)));
  return files.map((file) => (isLocal(file) ? relative(root, resolve(file)) : fileNameOfImage(file)));
}

/** The deepest folder that all paths lie in. */
function commonFolder(paths: readonly string[]): string {
  let shared = dirname(paths[0] ?? resolve("x")).split(sep);
  for (const path of paths) {
    const parts = dirname(path).split(sep);
    const differs = shared.findIndex((part, i) => part !== parts[i]);
    if (differs >= 0) shared = shared.slice(0, differs);
  }
  return shared.join(sep) + sep;
}
