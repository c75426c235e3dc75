// Entries of a listed dataset as they are written to a copy of the same layout.
import { DataError } from "../../support/errors.js";
import { checkHint, effectOf, findingsOf } from "../check/findings.js";
import type { Split } from "../formats/dataset.js";
import type { SplitSource } from "../formats/layout.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import { frameOf, type ListedImage, type Listing } from "../formats/listing.js";
import { nameUnder, type WrittenImage } from "./write-dataset.js";

/**
 * An image with all its annotations as they are. Boxes without a class are left out and counted by `lost`.
 */
export function unchanged(image: ListedImage, { folders }: Listing, lost: () => void = () => {}): WrittenImage {
  const boxes = image.boxes.flatMap(({ label, box, entry, stated }) => {
    if (label < 0) {
      lost();
      return [];
    }
    return [{ label, box, entry: entry ?? {}, ...(entry === null ? { line: stated } : {}) }];
  });
  const { file } = image;
  return { file, name: nameUnder(folders, file), ...frameOf(image), boxes, entry: image.entry ?? {} };
}

/** Keys of data.yaml beside the classes and the folders, such as the shape of key points. */
export function otherYamlKeys(source: SplitSource | undefined): Record<string, unknown> {
  if (source?.layout !== "yolo") return {};
  const written = new Set(["path", "train", "val", "valid", "validation", "test", "nc", "names"]);
  return Object.fromEntries(Object.entries(source.yolo.content).filter(([key]) => !written.has(key)));
}

/**
 * A copy of a split with faults would have them too, or would lack the entries at fault.
 * @throws DataError if a split has a fault for which training would refuse it, the test split as the valid split
 */
export function refuseFaults(listing: DatasetListing, splits: readonly Split[]): void {
  const refused = splits
    .flatMap((split) => findingsOf(listing, split))
    .filter(({ check, split }) => effectOf(check, split === "train" ? "train" : "valid") === "refused")
    .filter(({ check }) => check !== "missing split");
  if (refused.length === 0) return;
  const more = refused.length > 1 ? ` (and ${refused.length - 1} more)` : "";
  throw new DataError(`Expected a dataset without faults but ${refused[0].message}${more}`, {
    hint: checkHint(listing.layout.root),
  });
}
