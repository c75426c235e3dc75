// `rfdetr data stats`: counts of images, boxes, classes and sizes.
import { DataError } from "../support/errors.js";
import { sizeOf } from "../support/object-sizes.js";
import { checkOptions, flag, type OptionKinds } from "../support/options.js";
import { median } from "../support/statistics.js";
import { effectOf, findingsOf } from "./check/findings.js";
import { toDataset } from "./check/to-dataset.js";
import type { DatasetImage, Split } from "./formats/dataset.js";
import { splits } from "./formats/layout.js";
import { listDataset } from "./formats/list-dataset.js";

/** Figures of one split. */
export interface SplitStats {
  split: Split;
  images: number;
  boxes: number;
  /** Boxes of each class; in all splits, the class with most boxes in the dataset first. */
  classes: { name: string; boxes: number; images: number }[];
  /** Boxes by annotated area in square pixels: below 32², below 96², and above. */
  sizes: { small: number; medium: number; large: number };
  /** Number of boxes in an image; `empty` counts the images without any. */
  boxesPerImage: { minimum: number; median: number; maximum: number; empty: number };
  /** The ten most frequent image sizes. */
  imageSizes: { size: string; images: number }[];
  /** How many other image sizes there are. */
  otherImageSizes: number;
  /** Objects by what their outline is, where outlines were read. */
  outlines?: { polygons: number; masks: number; none: number };
}

/** The splits of a dataset as training would use them. */
export interface ReadSplits {
  layout: string;
  classNames: readonly string[];
  splits: { split: Split; images: readonly DatasetImage[] }[];
  /** How many entries of the dataset are at fault. */
  faults: number;
}

/** What is read of a dataset for statistics. */
export interface StatsOptions {
  /** Whether to read the outlines of the objects, for segmentation (default false). */
  masks?: boolean;
}

/**
 * Reads all splits that a dataset has, without what is at fault.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws DataError if it is no dataset, or a split cannot be read
 */
export function readSplits(data: string, { masks = false }: StatsOptions = {}): ReadSplits {
  const listing = listDataset(data, { outlines: masks });
  const present = splits.filter((split) => listing.layout.sources[split] !== undefined);
  let faults = 0;
  const read = present.map((split) => {
    const findings = findingsOf(listing, split);
    faults += findings.filter(({ check }) => effectOf(check, "train") !== "kept").length;
    const listed = listing.splits[split];
    if (listed === undefined) throw new DataError(findings[0].message);
    return { split, images: toDataset(listed, listing.classes, []).images };
  });
  const layout = listing.layout.sources[present[0]]?.layout ?? "";
  return { layout, classNames: listing.classes.map(({ name }) => name), splits: read, faults };
}

/**
 * Counts what training would use of each split.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @returns `faults`: how many entries of the dataset are at fault
 * @throws DataError if it is no dataset, or a split cannot be read
 *
 * @example
 * const { splits, faults } = datasetStats("birds/");
 */
export function datasetStats(data: string, options: StatsOptions = {}): DatasetStats {
  checkOptions("datasetStats", options, { masks: flag } satisfies OptionKinds<StatsOptions>);
  return statsOf(readSplits(data, options));
}

/** Figures of a dataset. */
export interface DatasetStats {
  layout: string;
  splits: SplitStats[];
  faults: number;
}

/** As {@link datasetStats}, of splits that were read. */
export function statsOf({ layout, classNames, splits: read, faults }: ReadSplits): DatasetStats {
  const all = countClasses(
    read.flatMap(({ images }) => images),
    classNames,
  );
  const order = [...classNames.keys()].sort((a, b) => all[b].boxes - all[a].boxes);
  const splits = read.map(({ split, images }) => splitStats(split, images, classNames, order));
  return { layout, splits, faults };
}

function countClasses(images: readonly DatasetImage[], classNames: readonly string[]): SplitStats["classes"] {
  const perClass = classNames.map((name) => ({ name, boxes: 0, images: 0 }));
  for (const { labels } of images) {
    for (const label of labels) perClass[label].boxes++;
    for (const label of new Set(labels)) perClass[label].images++;
  }
  return perClass;
}

/** Image sizes that are listed. */
const mostSizes = 10;

/** @param order the classes, those with most boxes in the dataset first: the same in all splits */
function splitStats(
  split: Split,
  images: readonly DatasetImage[],
  classNames: readonly string[],
  order: readonly number[],
): SplitStats {
  const perClass = countClasses(images, classNames);
  const sizes = { small: 0, medium: 0, large: 0 };
  const imageSizes = new Map<string, number>();
  for (const image of images) {
    for (const area of image.areas) sizes[sizeOf(area)]++;
    const size = `${image.width}×${image.height}`;
    imageSizes.set(size, (imageSizes.get(size) ?? 0) + 1);
  }
  const counts = images.map((image) => image.labels.length).sort((a, b) => a - b);
  return {
    split,
    images: images.length,
    boxes: counts.reduce((a, b) => a + b, 0),
    classes: order.map((label) => perClass[label]),
    sizes,
    boxesPerImage: {
      minimum: counts[0] ?? 0,
      median: counts.length === 0 ? 0 : median(counts),
      maximum: counts.at(-1) ?? 0,
      empty: counts.filter((n) => n === 0).length,
    },
    imageSizes: [...imageSizes]
      .sort((a, b) => b[1] - a[1])
      .slice(0, mostSizes)
      .map(([size, images]) => ({ size, images })),
    otherImageSizes: Math.max(0, imageSizes.size - mostSizes),
    ...outlinesOf(images),
  };
}

function outlinesOf(images: readonly DatasetImage[]): Pick<SplitStats, "outlines"> {
  const read = images.filter(({ outlines }) => outlines !== undefined);
  if (read.length === 0) return {};
  const counts = { polygons: 0, masks: 0, none: 0 };
  for (const { outlines = [] } of read)
    for (const outline of outlines) counts[outline === null ? "none" : "mask" in outline ? "masks" : "polygons"]++;
  return { outlines: counts };
}
