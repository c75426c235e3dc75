// `rfdetr data split`: a copy of a dataset whose train split gives a share to valid and test.
import { dirname } from "node:path";
import { DataError, UsageError } from "../../support/errors.js";
import { agreeing, counted } from "../../support/format.js";
import { append } from "../../support/lists.js";
import {
  abortSignal,
  callback,
  checkOptions,
  countOrZero,
  type OptionKind,
  type OptionKinds,
  oneOf,
  share,
} from "../../support/options.js";
import type { Split } from "../formats/dataset.js";
import { splits } from "../formats/layout.js";
import { type DatasetListing, listDataset } from "../formats/list-dataset.js";
import type { ListedImage, Listing } from "../formats/listing.js";
import { layoutOfCopy, otherYaml, refuseFaults, unchanged } from "../write/unchanged.js";
import { refuseExisting, writeDataset } from "../write/write-dataset.js";
import type { WrittenDataset } from "../write/written.js";
import { assignSplits, type Shares } from "./assign-splits.js";
import { groupPictures } from "./group-pictures.js";

/** How a dataset is split. */
export interface SplitOptions {
  /**
   * Share of the train split's pictures for validation, from 0 to below 1 (default 0.2, or 0 if there is a valid
   * split).
   */
  valid?: number;
  /** Share for the test split (default 0). */
  test?: number;
  /**
   * `class` (default): every split gets its share of each class; near duplicates and copies by augmentation stay
   * together. `group`: pictures of one sub-folder stay together too, such as the frames of a video.
   */
  by?: "class" | "group";
  /** Seed of the choice; the same gives the same splits (default 0). */
  seed?: number;
  signal?: AbortSignal;
  /** Called after each picture that was compared with the others. */
  onProgress?: (done: number, total: number) => void;
}

const part: OptionKind = {
  takes: "a share from 0 to below 1",
  fits: (value) => share.fits(value) && (value as number) < 1,
};
const splitOptions: OptionKinds<SplitOptions> = {
  valid: part,
  test: part,
  by: oneOf("class", "group"),
  seed: countOrZero,
  signal: abortSignal,
  onProgress: callback,
};

/** What was written. */
export interface SplitReport {
  splits: Partial<Record<Split, { images: number; annotations: number }>>;
  /** Groups of more than one picture, which stayed together. */
  groups: number;
  /** What the copy has otherwise than the dataset, and what should be known, one sentence each. */
  remarks: string[];
}

/**
 * Writes a copy of a dataset in which some pictures of the train split, or of a dataset without splits, are the valid
 * and test splits. A split that is there already stays as it is. Image files are linked, or copied where the system
 * cannot link them.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws UsageError for shares that cannot be
 * @throws DataError if the target exists, if the dataset has faults, or if a split would be empty; nothing is written
 * @throws RunDirectoryError if the copy cannot be written
 * @example
 * import { splitDataset } from "rfdetr/data";
 * const { splits } = await splitDataset("photos/", "photos-split/", { valid: 0.2, seed: 1 });
 */
export async function splitDataset(data: string, target: string, options: SplitOptions = {}): Promise<SplitReport> {
  checkOptions("splitDataset", options, splitOptions);
  const { by = "class", seed = 0, signal, onProgress } = options;
  refuseExisting(target);
  const listing = listDataset(data, { splits: "present", segmentations: true, unsplit: true });
  const remarks: string[] = [];
  dropCopyOfTrain(listing, remarks);
  const shares = sharesOf(listing, options);
  refuseFaults(listing, ["train", "valid", "test"]);
  const train = listing.splits.train as Listing;
  const pictures = train.images;
  const groups = await groupPictures(pictures, { folders: by === "group", signal, onProgress });
  if (new Set(groups).size < 2)
    throw new DataError(
      `Expected several groups of pictures in ${train.source} but all ${pictures.length} belong together: ${by === "group" ? "they are in one folder" : "they are nearly the same"}`,
    );
  const dealt = pictures.map(({ boxes }, i) => ({
    group: groups[i],
    labels: boxes.flatMap(({ label, crowd }) => (crowd ? [] : [label])),
  }));
  const assigned = assignSplits(dealt, shares, seed);
  const dataset = written(listing, assigned, shares, remarks);
  const { counts, remarks: changes } = writeDataset(target, dataset, { source: listing.layout.root });
  append(remarks, changes);
  return { splits: counts, groups: countShared(groups), remarks };
}

/** The number of groups that more than one picture is in. */
function countShared(groups: readonly number[]): number {
  const [seen, shared] = [new Set<number>(), new Set<number>()];
  for (const group of groups) (seen.has(group) ? shared : seen).add(group);
  return shared.size;
}

/** A valid or test split that has no file of its own, as in files that name one folder for all, is none. */
function dropCopyOfTrain({ splits: listed, layout }: DatasetListing, remarks: string[]): void {
  const own = new Set(listed.train?.images.map(({ file }) => file));
  for (const split of ["valid", "test"] as const) {
    const images = listed[split]?.images ?? [];
    if (images.length === 0 || images.some(({ file }) => !own.has(file))) continue;
    delete listed[split];
    delete layout.sources[split];
    remarks.push(`the ${split} split has pictures of the train split only: it is dealt anew`);
  }
}

function sharesOf({ splits: listed, layout }: DatasetListing, options: SplitOptions): Shares {
  if (listed.train === undefined)
    throw new DataError(`Expected a train split, or one list of all pictures, in ${layout.root} but found none`);
  const { valid = listed.valid === undefined ? 0.2 : 0, test = 0 } = options;
  for (const [name, share] of [
    ["valid", valid],
    ["test", test],
  ] as const) {
    if (share > 0 && listed[name] !== undefined)
      throw new DataError(
        `Expected a dataset without a ${name} split to give it a share of train but ${layout.root} has one`,
        { hint: otherWays(listed, layout) },
      );
  }
  if (valid + test >= 1)
    throw new UsageError(`Expected shares of valid and test below 1 together but received ${valid + test}`);
  if (valid + test === 0 && listed.valid !== undefined && options.valid === undefined && options.test === undefined)
    throw new UsageError(
      listed.test === undefined
        ? `Expected a share of train for the test split: ${layout.root} has a valid split already`
        : `Expected a dataset without a valid or a test split but ${layout.root} has both`,
      { hint: otherWays(listed, layout) },
    );
  if (valid + test === 0) throw new UsageError("Expected a share above 0 for valid or test but received 0 for both");
  return { train: 1 - valid - test, valid, test };
}

/** What can be done with a dataset that has the split that was asked for. */
function otherWays({ valid, test }: DatasetListing["splits"], { sources }: DatasetListing["layout"]): string {
  const missing = valid === undefined ? "valid" : test === undefined ? "test" : null;
  const { train } = sources;
  const anew =
    train?.layout === "yolo"
      ? `write a copy of ${train.yolo.path} with the train images as \`val\` too, and split that`
      : train?.layout === "roboflow-coco"
        ? `split its folder alone: ${dirname(train.annotations)}`
        : null;
  return [
    ...(valid === undefined ? [] : ["It can be trained on as it is"]),
    ...(missing === null ? [] : [`Give a share to ${missing} alone, such as --${missing} 0.1`]),
    ...(anew === null ? [] : [`To deal the pictures of train anew, ${anew}`]),
  ].join(". ");
}

function written(
  listing: DatasetListing,
  assigned: readonly Split[],
  shares: Shares,
  remarks: string[],
): WrittenDataset {
  const { classes, layout, splits: listed } = listing;
  const train = listed.train as Listing;
  const result: WrittenDataset["splits"] = {};
  const sources: Listing[] = [];
  for (const split of splits) {
    const dealtOut = split === "train" || shares[split] > 0;
    const source = dealtOut ? train : listed[split];
    if (source === undefined) continue;
    const images = dealtOut ? train.images.filter((_, i) => assigned[i] === split) : source.images;
    let lost = 0;
    const kept = images.map((image) => unchanged(image, source, () => lost++));
    if (lost > 0)
      remarks.push(
        `${counted(lost, "annotation")} of the ${split} split ${agreeing(lost, "is left out: its", "are left out: their")} class is not in the train split`,
      );
    if (dealtOut) refuseEmpty(split, images, train);
    result[split] = { images: kept, rest: source.rest };
    sources.push(source);
  }
  append(remarks, lackingClasses(listing, result));
  return {
    layout: layoutOfCopy(sources),
    classes,
    classNames: classes.map(({ name }) => name),
    splits: result,
    yaml: otherYaml(layout.sources.train),
  };
}

function refuseEmpty(split: Split, images: readonly ListedImage[], train: Listing): void {
  const some = images.some(({ boxes }) => boxes.some(({ crowd }) => !crowd));
  if (some) return;
  const what = images.length === 0 ? "no picture" : "no object";
  throw new DataError(
    `Expected enough pictures in ${train.source} for a ${split} split but ${what} of ${train.images.length} pictures falls to it: give it a larger share`,
  );
}

/** One sentence for each split that lacks classes of the train split. */
function lackingClasses({ classes }: DatasetListing, result: WrittenDataset["splits"]): string[] {
  const labelsOf = (split: Split): Set<number> =>
    new Set(result[split]?.images.flatMap(({ boxes }) => boxes.map(({ label }) => label)));
  const train = labelsOf("train");
  return (["valid", "test"] as const).flatMap((split) => {
    const own = labelsOf(split);
    const lacking = [...train].filter((label) => !own.has(label)).sort((a, b) => a - b);
    if (result[split] === undefined || lacking.length === 0) return [];
    const names = lacking.slice(0, 10).map((label) => classes[label].name);
    const more = lacking.length > 10 ? ` and ${lacking.length - 10} more` : "";
    return [
      `the ${split} split has no ${names.join(", ")}${more}: there are too few pictures, or they belong together`,
    ];
  });
}
