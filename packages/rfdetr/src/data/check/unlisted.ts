// Pictures that lie in a folder of a COCO split, and that no annotation file lists: nothing is learned of them.
import { realpathSync } from "node:fs";
import { extname, relative, resolve, sep } from "node:path";
import { isSystemError } from "../../support/files/system-error.js";
import { agreeing, counted } from "../../support/format.js";
import { filesUnder } from "../formats/find-file.js";
import { splits } from "../formats/layout.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import type { Listing } from "../formats/listing.js";
import { imageExtensions, otherImageExtensions } from "../images/image-kinds.js";
import type { Finding } from "./findings.js";

const examples = 3;

/** A finding for each split of COCO whose folders have such pictures. */
export function unlistedFindings({ layout, splits: listed }: DatasetListing): Finding[] {
  // Pictures of a split that cannot be read would count as those of another one that shares its folder.
  if (splits.some((split) => layout.sources[split] !== undefined && listed[split] === undefined)) return [];
  const listings = Object.values(listed);
  const known = new Set(listings.flatMap(({ images }) => images.map(({ file }) => resolve(file))));
  const isKnown = knownByLinks(known);
  const found: Finding[] = [];
  for (const listing of listings.filter((each) => each.layout !== "yolo")) {
    const folders = foldersOf(listing, layout.root);
    const files = folders.flatMap(filesOf).filter((file) => isPicture(file) && !known.has(file) && !isKnown(file));
    for (const file of files) known.add(file);
    if (files.length === 0) continue;
    const names = files.slice(0, examples).map((file) => relative(resolve(layout.root), file));
    const more = files.length > examples ? "such as " : "";
    found.push({
      check: "pictures that are not listed",
      split: listing.split,
      file: listing.source,
      id: null,
      message: `${counted(files.length, "picture")} in the folder of the ${listing.split} images ${agreeing(files.length, "is", "are")} in no annotation file: ${more}${names.join(", ")}`,
      training: "kept",
    });
  }
  return found;
}

/** Files under a folder; none where it cannot be read, which must not end a check over a note. */
function filesOf(folder: string): string[] {
  try {
    return filesUnder(folder);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    return [];
  }
}

const isPicture = (file: string): boolean => {
  const extension = extname(file).toLowerCase();
  return imageExtensions.has(extension) || otherImageExtensions.has(extension);
};

/** The folders that images of a split were found in; that of the whole dataset may hold anything. */
function foldersOf({ images, folders }: Listing, root: string): string[] {
  const searched = folders.map((folder) => resolve(folder));
  const used = new Set(images.map(({ file }) => searched.find((folder) => resolve(file).startsWith(folder + sep))));
  return [...used].flatMap((folder) => (folder === undefined || folder === resolve(root) ? [] : [folder]));
}

/** Whether a file is one of those, which a link has another name for. */
function knownByLinks(files: ReadonlySet<string>): (file: string) => boolean {
  let real: Set<string> | null = null;
  const realOf = (file: string): string => {
    try {
      return realpathSync(file);
    } catch {
      return file;
    }
  };
  return (file) => {
    real ??= new Set([...files].map(realOf));
    return real.has(realOf(file));
  };
}
