// Entries of a listed dataset as they are written to a copy of the same layout.
import { extname } from "node:path";
import { DataError } from "../../support/errors.js";
import { dataFail } from "../../support/files/text-file.js";
import { yamlWithout } from "../../support/files/yaml.js";
import { checkHint, effectOf, findingsOf } from "../check/findings.js";
import type { Split } from "../formats/dataset.js";
import type { SplitSource } from "../formats/layout.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import { frameOf, type ListedBox, type ListedImage, type Listing } from "../formats/listing.js";
import { nameUnder } from "./write-dataset.js";
import type { WrittenImage } from "./written.js";

/**
 * An image with all its annotations as they are. Boxes without a class are left out and counted by `lost`.
 */
export function unchanged(image: ListedImage, { folders }: Listing, lost: () => void = () => {}): WrittenImage {
  const boxes = image.boxes.flatMap((own) => {
    const { label, box, entry } = own;
    if (label < 0) {
      lost();
      return [];
    }
    return [entry === null ? { label, box, entry: labelFields(own), line: labelLine(own) } : { label, box, entry }];
  });
  const { file } = image;
  return { file, name: nameUnder(folders, file), ...frameOf(image), boxes, entry: image.entry ?? {} };
}

/** What a COCO annotation keeps of a YOLO label beside its box: the polygon, in pixels. */
export function labelFields({ polygon, stated, image }: ListedBox): { segmentation?: number[][] } {
  if (!polygon) return {};
  const { width, height } = frameOf(image);
  const numbers = stated.split(/\s+/).slice(1).map(Number);
  return { segmentation: [numbers.map((number, i) => number * (i % 2 === 0 ? width : height))] };
}

/** The line of a YOLO label with the number that its class has in the copy. */
export const labelLine = ({ label, stated }: ListedBox): string => stated.replace(/^\S+/, String(label));

/** The layout of a copy of several splits: COCO holds what YOLO has, and not the other way round. */
export function layoutOfCopy(listings: readonly Listing[]): "coco" | "yolo" {
  return listings.every(({ layout }) => layout === "yolo") ? "yolo" : "coco";
}

/** What data.yaml says beside the classes and the folders, such as the shape of key points, as YAML. */
export function otherYaml(source: SplitSource | undefined): string {
  if (source?.layout !== "yolo" || extname(source.yolo.path) === ".txt") return "";
  const written = ["path", "train", "val", "valid", "validation", "test", "nc", "names"];
  return yamlWithout(source.yolo.path, new Set(written), dataFail);
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
