// What spoils results though nothing is wrong: classes that are hardly there, objects that the model cannot give or
// cannot see, boxes that are drawn twice. Training goes on with all of it.

import { anyList, anyObject, checkArgument, checkOptions, count, type OptionKinds } from "../../support/options.js";
import type { Dataset, DatasetImage, Split } from "../formats/dataset.js";

/** A split to look at. */
export interface JudgedSplit {
  split: Split;
  /** Path that stands for the split in findings: its annotation file, or the file that names the classes. */
  source: string;
  dataset: Pick<Dataset, "images" | "classNames">;
}

/** What the model and its training can do; what is left out is not judged. */
export interface QualityLimits {
  /** Detections that the model gives of an image (`num_select`). */
  detections?: number;
  /** Detections of an image that average precision counts (`eval_max_dets`). */
  maxDets?: number;
  /** Size to which training stretches every image, in pixels. */
  resolution?: { width: number; height: number };
}

/** Something that may spoil results. */
export interface QualityFinding {
  check: QualityCheck;
  split: Split;
  /** The image, or the source of the split where the finding is about all of it. */
  file: string;
  /** Id of the image; null where the finding is about the whole split. */
  id: number | null;
  message: string;
}

/** What each finding means and what to do, for people. */
export const qualityChecks = {
  "classes without boxes": "A class that the train split does not show is not learned.",
  "rare classes": "A class with fewer than 10 boxes is hardly learned: add pictures of it.",
  "class imbalance": "One class has more than 100 times the boxes of another: add pictures of the rare one.",
  "classes only in valid": "A class with boxes in the valid split but none in the train split counts as missed.",
  "classes not in valid": "A class without boxes in the valid split has no figure.",
  "too many objects": "An image has more objects than the model gives, or than average precision counts.",
  "tiny boxes":
    "5 % of the boxes or more have a side under 4 pixels, a quarter of a patch, at the training resolution.",
  "repeated boxes": "A box is there twice, with the same class: the model cannot learn to give it twice.",
  "pictures that are not listed":
    "A picture in a folder of a COCO split is in no annotation file, and is not used. Annotate it, or leave it.",
  "pictures in several splits":
    "A picture of the train split is in the valid or test split too, whose figures are then too good: leave it out of one.",
  "repeated pictures": "A picture is in a split more than once: it counts for more than the others.",
} as const;

/** Name of a check of {@link qualityChecks}. */
export type QualityCheck = keyof typeof qualityChecks;

const fewBoxes = 10;
const imbalance = 100;
const tinySide = 4;
const tinyShare = 0.05;

/**
 * Looks at all splits of a dataset. Crowd regions do not count. Class indices are those of the train split everywhere.
 * @example
 * import { findQualityProblems, openDataset } from "rfdetr/data";
 * const train = { split: "train", source: "birds/", dataset: openDataset("birds/", "train") } as const;
 * for (const { message } of findQualityProblems([train], { maxDets: 100 })) console.log(message);
 */
export function findQualityProblems(splits: readonly JudgedSplit[], limits: QualityLimits = {}): QualityFinding[] {
  checkArgument("splits", splits, anyList);
  checkOptions("findQualityProblems", limits, {
    detections: count,
    maxDets: count,
    resolution: anyObject,
  } satisfies OptionKinds<QualityLimits>);
  return [
    ...classFindings(splits),
    ...splits.flatMap((split) => [
      ...crowdedImages(split, limits),
      ...tinyBoxes(split, limits.resolution),
      ...repeatedBoxes(split),
    ]),
  ];
}

/** Boxes of each class. */
function countClasses({ dataset: { images, classNames } }: JudgedSplit): number[] {
  const counts: number[] = Array(classNames.length).fill(0);
  for (const { labels } of images) for (const label of labels) counts[label]++;
  return counts;
}

function classFindings(splits: readonly JudgedSplit[]): QualityFinding[] {
  const train = splits.find(({ split }) => split === "train");
  if (train === undefined) return [];
  const valid = splits.find(({ split }) => split === "valid");
  const names = train.dataset.classNames;
  const boxes = countClasses(train);
  const measured = valid === undefined ? null : countClasses(valid);
  const such = (test: (label: number) => boolean, show = (label: number): string => names[label]): string[] =>
    names.flatMap((_, label) => (test(label) ? [show(label)] : []));
  const found: QualityFinding[] = [];
  const add = (check: QualityCheck, { split, source }: JudgedSplit, classes: string[], what: string): void => {
    if (classes.length > 0)
      found.push({
        check,
        split,
        file: source,
        id: null,
        message: `${countOf(classes.length, names.length)} ${what}: ${list(classes)}`,
      });
  };
  const withCount = (label: number): string => `${names[label]} (${boxes[label]})`;
  add(
    "classes without boxes",
    train,
    such((i) => boxes[i] === 0 && !measured?.[i]),
    "no boxes in the train split",
  );
  add(
    "rare classes",
    train,
    such((i) => boxes[i] > 0 && boxes[i] < fewBoxes, withCount),
    `fewer than ${fewBoxes} boxes in the train split`,
  );
  if (valid !== undefined && measured !== null) {
    add(
      "classes only in valid",
      valid,
      such((i) => boxes[i] === 0 && measured[i] > 0),
      "boxes in the valid split but none in the train split",
    );
    add(
      "classes not in valid",
      valid,
      such((i) => boxes[i] > 0 && measured[i] === 0),
      "no boxes in the valid split, and so no figure",
    );
  }
  const shown = names.flatMap((_, label) => (boxes[label] > 0 ? [label] : [])).sort((a, b) => boxes[b] - boxes[a]);
  const [most, least] = [shown[0], shown.at(-1) ?? 0];
  if (shown.length > 1 && boxes[most] > imbalance * boxes[least])
    found.push({
      check: "class imbalance",
      split: "train",
      file: train.source,
      id: null,
      message: `${withCount(most)} has ${Math.floor(boxes[most] / boxes[least])} times the boxes of ${withCount(least)}`,
    });
  return found;
}

const countOf = (some: number, all: number): string =>
  `${some} of ${all} ${all === 1 ? "class" : "classes"} ${some === 1 ? "has" : "have"}`;

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).join(", ");
  return names.length > 10 ? `${shown} and ${names.length - 10} more` : shown;
}

function crowdedImages(
  { split, dataset: { images } }: JudgedSplit,
  { detections, maxDets }: QualityLimits,
): QualityFinding[] {
  const least = Math.min(detections ?? Number.POSITIVE_INFINITY, maxDets ?? Number.POSITIVE_INFINITY);
  const crowded = images.filter(({ labels }) => labels.length > least);
  if (crowded.length === 0) return [];
  const worst = crowded.reduce((a, b) => (b.labels.length > a.labels.length ? b : a));
  const count = worst.labels.length;
  const limits = [
    ...(detections !== undefined && count > detections ? [`the model gives ${detections}`] : []),
    ...(maxDets !== undefined && count > maxDets ? [`AP counts ${maxDets} (eval_max_dets)`] : []),
  ];
  const others = crowded.length === 1 ? "" : `, and ${crowded.length - 1} more have too many`;
  const message = `an image has ${count} objects${others}; ${limits.join(", and ")}`;
  return [{ check: "too many objects", split, file: worst.file, id: worst.id, message }];
}

function tinyBoxes(
  { split, source, dataset: { images } }: JudgedSplit,
  resolution: QualityLimits["resolution"],
): QualityFinding[] {
  if (resolution === undefined) return [];
  let tiny = 0;
  let all = 0;
  for (const { boxes, labels, width, height } of images)
    for (let i = 0; i < labels.length; i++) {
      const w = ((boxes[i * 4 + 2] - boxes[i * 4]) * resolution.width) / width;
      const h = ((boxes[i * 4 + 3] - boxes[i * 4 + 1]) * resolution.height) / height;
      if (Math.min(w, h) < tinySide) tiny++;
      all++;
    }
  if (all === 0 || tiny < tinyShare * all) return [];
  const share = Math.round((100 * tiny) / all);
  const size = `${resolution.width}×${resolution.height}`;
  const message = `${share} % of ${all} boxes have a side under ${tinySide} pixels at the training resolution ${size}: train at a higher one, or cut the pictures into tiles`;
  return [{ check: "tiny boxes", split, file: source, id: null, message }];
}

function repeatedBoxes({ split, dataset: { images } }: JudgedSplit): QualityFinding[] {
  return images.flatMap((image): QualityFinding[] => {
    const repeated = countRepeated(image);
    if (repeated === 0) return [];
    const what = repeated === 1 ? "1 box that repeats" : `${repeated} boxes that repeat`;
    const message = `${image.file} has ${what} another of the same class`;
    return [{ check: "repeated boxes", split, file: image.file, id: image.id, message }];
  });
}

/** Boxes that are equal to an earlier one of their class, to a hundredth of a pixel. */
function countRepeated({ boxes, labels }: DatasetImage): number {
  const keys = new Set<string>();
  for (let i = 0; i < labels.length; i++) {
    const corners = boxes.subarray(i * 4, i * 4 + 4);
    keys.add(`${labels[i]} ${Array.from(corners, (c) => Math.round(c * 100)).join(" ")}`);
  }
  return labels.length - keys.size;
}
