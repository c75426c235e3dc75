// `rfdetr data check --fix`: a copy of a dataset without its faults.
import { DataError } from "../../support/errors.js";
import { twins } from "../formats/coco-classes.js";
import type { Split } from "../formats/dataset.js";
import { type DatasetListing, listDataset } from "../formats/list-dataset.js";
import {
  decodedSize,
  frameOf,
  type ListedBox,
  type ListedClass,
  type ListedImage,
  type Listing,
} from "../formats/listing.js";
import {
  nameUnder,
  type WrittenBox,
  type WrittenDataset,
  type WrittenImage,
  writeDataset,
} from "../write/write-dataset.js";
import { type CheckOptions, type CheckReport, listForCheck, reportOf } from "./check-dataset.js";
import { boxFault, shapeOf } from "./checks.js";
import { clippedCorners, usableBoxes } from "./to-dataset.js";

/** What a repair wrote. */
export interface FixReport {
  /** What was found in the dataset itself. */
  report: CheckReport;
  /** Numbers of images and boxes in each split of the copy. */
  fixed: Partial<Record<Split, { images: number; annotations: number }>>;
  /** What the copy lacks or has otherwise, one sentence each. */
  changes: string[];
}

/**
 * Checks a dataset and writes a copy of its train, valid and test splits without their faults, in the layout that it
 * has. Images and annotations at fault are left out; boxes are clipped, and scaled where the annotated size has another
 * scale than the file. Image files are linked, or copied where the system cannot link them. The copy passes the check.
 * @throws DataError if the target exists, if a split that training needs is missing or cannot be read, or if nothing of
 * it is left; no copy is written then
 * @throws RunDirectoryError if the copy cannot be written
 */
export async function fixDataset(data: string, target: string, options: CheckOptions = {}): Promise<FixReport> {
  const listing = await listForCheck(data, { ...options, segmentations: true });
  const report = reportOf(listing);
  const hopeless = report.findings.find(({ check, split }) => split !== "test" && unrepairable.has(check));
  if (hopeless !== undefined) throw new DataError(`Expected a dataset that can be repaired but ${hopeless.message}`);
  const changes: string[] = [];
  const classes = ownNames(listing.classes, changes);
  const { dataset, fixed } = repaired(listing, classes, changes);
  writeDataset(target, dataset, { verify: (copy) => verify(copy, data, options.autoOrient) });
  return { report, fixed, changes };
}

/** @throws DataError if the copy could not be trained on */
function verify(copy: string, data: string, autoOrient = true): void {
  const left = reportOf(listDataset(copy, { autoOrient })).findings.find(({ training }) => training === "refused");
  if (left !== undefined)
    throw new DataError(`Expected a dataset that can be repaired but of ${data} too little is left: ${left.message}`);
}

/** Checks whose fault cannot be left out, because the whole split is at fault. */
const unrepairable = new Set([
  "missing split",
  "broken annotations",
  "duplicate category ids",
  "boxes that look like fractions",
  "boxes that look like corners",
]);

/** Classes of one name get the number of their category behind it. */
function ownNames(classes: readonly ListedClass[], changes: string[]): string[] {
  const again = new Set(twins(classes));
  return classes.map((each) => {
    if (!again.has(each)) return each.name;
    const name = `${each.name} (${each.id})`;
    changes.push(`the second class ${each.name} is called ${name}: another has the same name`);
    return name;
  });
}

function repaired(
  { splits, classes, layout }: DatasetListing,
  classNames: string[],
  changes: string[],
): { dataset: WrittenDataset; fixed: FixReport["fixed"] } {
  const fixed: FixReport["fixed"] = {};
  const written: WrittenDataset["splits"] = {};
  for (const [split, listing] of Object.entries(splits) as [Split, Listing][]) {
    const images = goodImages(listing).map((image) => imageOf(image, listing));
    const annotations = images.reduce((sum, { boxes }) => sum + boxes.length, 0);
    if (split === "train" && annotations === 0)
      throw new DataError(
        `Expected some good entries in the train split of ${layout.root} but every image or every annotation has a fault`,
      );
    if (images.length === 0) {
      if (split === "valid")
        throw new DataError(`Expected a good image in the valid split of ${layout.root} but every one has a fault`);
      changes.push(`the test split is left out: it has no good image`);
      continue;
    }
    written[split] = { images, rest: listing.rest ?? {} };
    fixed[split] = { images: images.length, annotations };
    const masks = listing.images
      .filter((image) => shapeOf(image) === "scaled")
      .flatMap(({ boxes }) => boxes.filter(hasMask));
    if (masks.length > 0)
      changes.push(
        `${split}: the masks of ${masks.length} annotations are left out: their image has another scale than the file`,
      );
  }
  const yolo = Object.values(splits).some(({ layout: own }) => own === "yolo");
  const ids = classes.map(({ id }, i) => (typeof id === "number" ? id : i));
  const dataset: WrittenDataset = { layout: yolo ? "yolo" : "coco", classNames, categoryIds: ids, splits: written };
  return { dataset, fixed };
}

/** Images whose file is good and has the annotated shape; the first of each id. */
function goodImages({ images }: Listing): ListedImage[] {
  const ids = new Set<number | string>();
  return images.filter((image) => {
    const first = !ids.has(image.id);
    ids.add(image.id);
    return first && image.fault === null && shapeOf(image) !== "other";
  });
}

function imageOf(image: ListedImage, { folders }: Listing): WrittenImage {
  const { header, orientation, file } = image;
  const frame = frameOf(image);
  const size = header === null ? frame : decodedSize(header, orientation);
  const scale: [number, number] = [size.width / frame.width, size.height / frame.height];
  const boxes = usableBoxes(image).map((box) => boxOf(box, scale));
  return { file, name: nameUnder(folders, file), ...size, boxes, entry: image.entry ?? {} };
}

/** A box in pixels of the file, with the fields of its annotation; outlines are scaled with it. */
function boxOf(box: ListedBox, [sx, sy]: readonly [number, number]): WrittenBox {
  const [x, y, w, h] = boxFault(box) === null ? box.box : clipped(box);
  const { segmentation, area, bbox: _, ...entry } = box.entry ?? {};
  const kept: Record<string, unknown> = { ...entry };
  if (box.area !== null) kept.area = box.area * sx * sy;
  if (box.entry !== null) kept.iscrowd = box.crowd ? 1 : 0;
  const same = sx === 1 && sy === 1;
  if (segmentation !== undefined && (same || Array.isArray(segmentation)))
    kept.segmentation = same ? segmentation : scaled(segmentation as unknown[], sx, sy);
  return { label: box.label, box: [x * sx, y * sy, w * sx, h * sy], entry: kept };
}

function clipped(box: ListedBox): ListedBox["box"] {
  const [left, top, right, bottom] = clippedCorners(box);
  return [left, top, right - left, bottom - top];
}

const scaled = (polygons: readonly unknown[], sx: number, sy: number): unknown[] =>
  polygons.map((points) =>
    Array.isArray(points) ? points.map((c, i) => (c as number) * (i % 2 === 0 ? sx : sy)) : points,
  );

const hasMask = ({ entry }: ListedBox): boolean =>
  entry?.segmentation !== undefined && entry.segmentation !== null && !Array.isArray(entry.segmentation);
