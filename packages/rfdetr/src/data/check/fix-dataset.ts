// `rfdetr data check --fix`: a copy of a dataset without its faults.
import { DataError } from "../../support/errors.js";
import { agreeing, counted } from "../../support/format.js";
import { append } from "../../support/lists.js";
import { twins } from "../formats/class-categories.js";
import type { Split } from "../formats/dataset.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import type { ListedClass, ListedImage, Listing } from "../formats/listing.js";
import { layoutOfCopy, otherYaml } from "../write/unchanged.js";
import type { SplitCounts } from "../write/verify-copy.js";
import { nameUnder, refuseExisting, writeDataset } from "../write/write-dataset.js";
import type { WrittenDataset, WrittenImage } from "../write/written.js";
import { shapeOf } from "./box-frame.js";
import {
  type CheckOptions,
  type CheckReport,
  type Finding,
  fullReport,
  listForCheck,
  validOptions,
} from "./check-dataset.js";
import { lacksOutline } from "./outline-checks.js";
import { fileSize, keptBoxes, repairedBox, runsOf, UnscaledFields } from "./repaired-box.js";

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
  const { counts: fixed, remarks } = writeDataset(target, dataset, {
    source: listing.layout.root,
    autoOrient: options.autoOrient ?? true,
  });
  append(changes, remarks);
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
    const unscaled = new UnscaledFields();
    const bared = new Set(good.filter((image) => image.annotations > 0 && keptBoxes(image).length === 0));
    const images = good.filter((image) => !bared.has(image)).map((image) => imageOf(image, own, unscaled));
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
    written[split] = { images, rest: own.rest };
    append(
      changes,
      unscaled.sentences().map((sentence) => `${split}: ${sentence}`),
    );
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
  return {
    layout: layoutOfCopy(Object.values(splits)),
    classes,
    classNames,
    splits: written,
    yaml: otherYaml(layout.sources.train),
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

function imageOf(image: ListedImage, { folders }: Listing, unscaled: UnscaledFields): WrittenImage {
  const { file } = image;
  const boxes = keptBoxes(image).map((box) => repairedBox(box, unscaled));
  return { file, name: nameUnder(folders, file), ...fileSize(image), boxes, entry: image.entry ?? {} };
}
