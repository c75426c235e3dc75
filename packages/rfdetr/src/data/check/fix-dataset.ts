// `rfdetr data check --fix`: a copy of a dataset without its faults.
import { toCocoRuns } from "../../masks/coco-runs.js";
import type { Outline } from "../../masks/outline.js";
import { resizeMask } from "../../masks/segments.js";
import { DataError } from "../../support/errors.js";
import { agreeing, counted } from "../../support/format.js";
import { twins } from "../formats/class-categories.js";
import type { Split } from "../formats/dataset.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import {
  decodedSize,
  frameOf,
  type ListedBox,
  type ListedClass,
  type ListedImage,
  type Listing,
} from "../formats/listing.js";
import { readSegmentation } from "../formats/segmentation.js";
import type { Size } from "../images/image-header.js";
import { boxRectangle } from "../region-masks.js";
import { otherYamlKeys } from "../write/unchanged.js";
import type { SplitCounts } from "../write/verify-copy.js";
import {
  categoryIdsOf,
  nameUnder,
  refuseExisting,
  type WrittenBox,
  type WrittenDataset,
  type WrittenImage,
  writeDataset,
} from "../write/write-dataset.js";
import { boxFault, clippedCorners, shapeOf, usableBoxes } from "./box-frame.js";
import {
  type CheckOptions,
  type CheckReport,
  type Finding,
  fullReport,
  listForCheck,
  validOptions,
} from "./check-dataset.js";
import { lacksOutline, maskFit, outlineFault } from "./outline-checks.js";

/** What a repair wrote. */
export interface FixReport {
  /** What was found in the dataset itself. */
  report: CheckReport;
  /** Numbers of images and boxes in each split of the copy. */
  fixed: SplitCounts;
  /** What the copy lacks or has otherwise, one sentence each. */
  changes: string[];
  /** Whether the copy has every split that training needs. */
  whole: boolean;
}

/**
 * Checks a dataset and writes a copy of its train, valid and test splits without their faults, in the layout that it
 * has. Images and annotations at fault are left out, and images whose annotations are all at fault; boxes are clipped,
 * and scaled where the annotated size has another scale than the file, with their outlines. With `masks`, an object
 * without an outline gets the rectangle of its box. Image files are linked, or copied where the system cannot link
 * them. The copy passes the check, except that it lacks a split that the dataset lacks.
 * @throws DataError if the target exists, if a split cannot be read, if a whole class would be left out, or if nothing
 * of a split is left; no copy is written then
 * @throws RunDirectoryError if the copy cannot be written
 *
 * @example
 * const { fixed, changes } = await fixDataset("birds/", "birds-fixed/");
 */
export async function fixDataset(data: string, target: string, options: CheckOptions = {}): Promise<FixReport> {
  validOptions("fixDataset", options);
  refuseExisting(target);
  const listing = await listForCheck(data, { ...options, segmentations: true });
  const report = await fullReport(listing, options);
  const changes: string[] = [];
  const dataset = repaired(data, listing, report.findings, changes);
  const fixed = writeDataset(target, dataset, {
    source: listing.layout.root,
    autoOrient: options.autoOrient ?? true,
  });
  const missing = report.findings.filter(({ check }) => check === missingSplit);
  for (const { message } of missing) changes.push(`the copy lacks a split as well: ${message}`);
  return { report, fixed, changes, whole: missing.length === 0 };
}

/**
 * Checks a dataset as `checkDataset` does, and says why no repaired copy of it can be written.
 * @returns `beyondRepair`: null where training would start, or would with the copy
 */
export async function checkRepair(
  data: string,
  options: CheckOptions = {},
): Promise<{ report: CheckReport; beyondRepair: string | null }> {
  const listing = await listForCheck(data, options);
  const report = await fullReport(listing, options);
  try {
    if (!report.ok) repaired(data, listing, report.findings, []);
    return { report, beyondRepair: null };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { report, beyondRepair: error.message };
  }
}

const missingSplit = "missing split";
const beyondRepair = (data: string, reason: string): DataError =>
  new DataError(`The dataset ${data} cannot be repaired: ${reason}`);

/** Checks whose fault cannot be left out, because the whole split is at fault. */
const unrepairable = new Set([
  "broken annotations",
  "duplicate category ids",
  "classes numbered from 1",
  "boxes that look like fractions",
  "boxes that look like corners",
  "no outlines",
]);

/** Whether a fault is one of a whole split. Without valid a dataset can be repaired, without train it cannot. */
function isHopeless({ check, split }: Finding, { splits }: DatasetListing): boolean {
  return unrepairable.has(check) || (check === missingSplit && splits[split] === undefined && split === "train");
}

/** Unknown classes may be left out up to this share of a split, or this number: more are a class without a name. */
const strays = { share: 0.05, number: 2 };

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

/**
 * The copy of a dataset. @param changes takes what it lacks or has otherwise
 * @throws DataError if there can be none
 */
function repaired(
  data: string,
  listing: DatasetListing,
  findings: readonly Finding[],
  changes: string[],
): WrittenDataset {
  const hopeless = findings.find((finding) => finding.split !== "test" && isHopeless(finding, listing));
  if (hopeless !== undefined) throw beyondRepair(data, hopeless.message);
  const { splits, classes, layout } = listing;
  const classNames = ownNames(classes, changes);
  const written: WrittenDataset["splits"] = {};
  for (const [split, own] of Object.entries(splits) as [Split, Listing][]) {
    const good = goodImages(own);
    const bared = new Set(good.filter((image) => image.annotations > 0 && keptBoxes(image).length === 0));
    const images = good.filter((image) => !bared.has(image)).map((image) => imageOf(image, own));
    const annotations = images.reduce((sum, { boxes }) => sum + boxes.length, 0);
    const found = findings.filter((finding) => finding.split === split);
    const unnamed = found.filter(({ check }) => check === "unknown categories");
    if (unnamed.length > Math.max(strays.number, strays.share * own.annotations))
      throw beyondRepair(
        data,
        `${unnamed.length} of ${own.annotations} annotations of the ${split} split ${agreeing(unnamed.length, "has", "have")} a class without a name, and ${agreeing(unnamed.length, "its object", "their objects")} would be taught as background; ${unnamed[0].message}`,
      );
    const refused = found.find(({ training }) => training === "refused")?.message ?? "it has no boxes";
    const kept = goodImages(own).flatMap(keptBoxes);
    const objects = kept.some(({ crowd }) => !crowd);
    if (split === "train" && !objects) throw beyondRepair(data, refused);
    if (images.length === 0) {
      if (split === "valid") throw beyondRepair(data, refused);
      changes.push("the test split is left out: it has no good image");
      continue;
    }
    const less = (before: number, after: number, what: string): unknown =>
      before > after &&
      changes.push(
        `${split}: ${before - after} of ${counted(before, what)} ${agreeing(before - after, "is", "are")} left out`,
      );
    less(own.images.length, good.length, "image");
    if (bared.size > 0) changes.push(`${split}: ${lostAll([...bared])}`);
    less(own.annotations, annotations, "annotation");
    written[split] = { images, rest: own.rest ?? {} };
    const misfits = kept.filter((box) => runsOf(box, fileSize(box.image)) === null).length;
    if (misfits > 0)
      changes.push(
        `${split}: ${counted(misfits, "mask is", "masks are")} left out: ${agreeing(misfits, "its", "their")} size is not that of the file`,
      );
    const bare = kept.filter(lacksOutline).length;
    if (bare > 0)
      changes.push(
        `${split}: ${counted(bare, "object")} without an outline ${agreeing(bare, "gets the rectangle of its", "get the rectangle of their")} box`,
      );
  }
  // A COCO file holds what YOLO has, and not the other way round.
  const yolo = Object.values(splits).every(({ layout: own }) => own === "yolo");
  return {
    layout: yolo ? "yolo" : "coco",
    classNames,
    categoryIds: categoryIdsOf(classes),
    splits: written,
    yaml: otherYamlKeys(layout.sources.train),
  };
}

/** Says which images have faulty annotations only. Without these, they would teach their objects as background. */
function lostAll(images: readonly ListedImage[]): string {
  const [first, ...others] = images.map(({ name }) => name);
  const more = others.length === 0 ? first : `${first} and ${others.length} more`;
  const are = agreeing(images.length, "that has faulty annotations only is", "that have faulty annotations only are");
  return `${counted(images.length, "image")} ${are} left out, not to teach ${agreeing(images.length, "its", "their")} objects as background: ${more}`;
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
  const { file } = image;
  const frame = frameOf(image);
  const size = fileSize(image);
  const scale: [number, number] = [size.width / frame.width, size.height / frame.height];
  const boxes = keptBoxes(image).map((box) => boxOf(box, scale, size));
  return { file, name: nameUnder(folders, file), ...size, boxes, entry: image.entry ?? {} };
}

/** The boxes of an image that the copy has. */
const keptBoxes = (image: ListedImage): ListedBox[] => usableBoxes(image).filter((box) => outlineFault(box) === null);

/** A box in pixels of the file, with the fields of its annotation or the line of its label; outlines go with it. */
function boxOf(box: ListedBox, [sx, sy]: readonly [number, number], size: Size): WrittenBox {
  const outside = boxFault(box) !== null;
  const [x, y, w, h] = outside ? clipped(box) : box.box;
  const own: ListedBox["box"] = [x * sx, y * sy, w * sx, h * sy];
  const corners = [own[0], own[1], own[0] + own[2], own[1] + own[3]];
  const rectangle = lacksOutline(box) ? boxRectangle(corners, size.height, size.width) : null;
  if (box.entry === null) {
    const line = outside ? clippedLine(box, own, size) : box.stated;
    return {
      label: box.label,
      box: own,
      entry: {},
      line: rectangle === null ? line : polygonLine(box, rectangle, size),
    };
  }
  const { segmentation, area: _area, bbox: _bbox, ...kept } = box.entry as Record<string, unknown>;
  if (box.area !== null) kept.area = box.area * sx * sy;
  kept.iscrowd = box.crowd ? 1 : 0;
  if (rectangle !== null) kept.segmentation = rectangle.polygons.map((points) => [...points]);
  else if (Array.isArray(segmentation))
    kept.segmentation = sx === 1 && sy === 1 ? segmentation : scaled(segmentation, sx, sy);
  else {
    const runs = runsOf(box, size);
    if (runs !== null && runs !== undefined) kept.segmentation = runs;
  }
  return { label: box.label, box: own, entry: kept };
}

/** The line of a label whose box leaves the image: points of a polygon go to the edge; what is behind a box stays. */
function clippedLine({ label, stated }: ListedBox, [x, y, w, h]: ListedBox["box"], { width, height }: Size): string {
  const numbers = stated.split(/\s+/).slice(1);
  const polygon = numbers.length >= 6 && numbers.length % 2 === 0;
  if (polygon) return [label, ...numbers.map((number) => Math.min(1, Math.max(0, Number(number))))].join(" ");
  return [label, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height, ...numbers.slice(4)].join(" ");
}

/** The line of a label with a polygon. */
const polygonLine = ({ label }: ListedBox, { polygons: [points] }: Polygons, { width, height }: Size): string =>
  [label, ...Array.from(points, (c, i) => c / (i % 2 === 0 ? width : height))].join(" ");
type Polygons = Extract<Outline, { polygons: unknown }>;

/**
 * The mask of an annotation at the size of the file, as stated where it has this size.
 * @returns undefined where it has none, or polygons; null where it does not fit the image
 */
function runsOf(box: ListedBox, { width, height }: Size): unknown {
  const stated = box.entry?.segmentation;
  if (stated === null || stated === undefined || Array.isArray(stated)) return undefined;
  const segmentation = readSegmentation(stated);
  if (segmentation.fault !== null || maskFit({ ...box, segmentation }) === "other") return null;
  const { outline } = segmentation;
  if (outline === null || !("mask" in outline)) return undefined;
  const same = outline.mask.height === height && outline.mask.width === width;
  return same ? stated : toCocoRuns(resizeMask(outline.mask, height, width));
}

function clipped(box: ListedBox): ListedBox["box"] {
  const [left, top, right, bottom] = clippedCorners(box);
  return [left, top, right - left, bottom - top];
}

const scaled = (polygons: readonly unknown[], sx: number, sy: number): unknown[] =>
  polygons.map((points) =>
    Array.isArray(points) ? points.map((c, i) => (c as number) * (i % 2 === 0 ? sx : sy)) : points,
  );

function fileSize(image: ListedImage): Size {
  return image.header === null ? frameOf(image) : decodedSize(image.header, image.orientation);
}
