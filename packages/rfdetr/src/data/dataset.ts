// A dataset in memory: which images there are, and what is on them. Pixels are read later.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readCocoFile } from "./coco-file.js";
import { DatasetError } from "./errors.js";
import { findYoloFile, readYolo } from "./yolo.js";

export interface DatasetImage {
  id: number;
  /** Path of the file. */
  file: string;
  /** Pixels, as the annotations know them. */
  width: number;
  height: number;
  /** `[n × 4]` left, top, right, bottom in pixels, clipped to the image, none empty. Crowd regions are not among them. */
  boxes: Float32Array;
  /** `[n]` class indices 0 … classes − 1. */
  labels: Int32Array;
  /** `[n]` annotated areas in square pixels. */
  areas: Float64Array;
  /** Regions of many objects (COCO `iscrowd`): never trained on, and detections inside them are not counted as wrong. */
  crowd: { boxes: Float32Array; labels: Int32Array; areas: Float64Array };
}

export interface Dataset {
  /** How it was laid out: `roboflow-coco`, `coco` or `yolo`. */
  layout: string;
  images: DatasetImage[];
  classNames: string[];
  /** Category id of each class in the annotation file. */
  categoryIds: number[];
  /** Things that were left out or changed while reading, one sentence each. */
  warnings: string[];
}

export type Split = "train" | "valid" | "test";

const folders: Record<Split, readonly string[]> = { train: ["train"], valid: ["valid", "val"], test: ["test"] };
const cocoNames: Record<Split, readonly string[]> = {
  train: ["instances_train2017.json", "instances_train.json", "train.json"],
  valid: ["instances_val2017.json", "instances_val.json", "instances_valid.json", "val.json", "valid.json"],
  test: ["instances_test2017.json", "instances_test.json", "test.json"],
};

/** Annotation file and image folder of a COCO split, in Roboflow's layout or COCO's own. */
export function findCocoSplit(root: string, split: Split): { layout: string; annotations: string; images: string } | null {
  for (const folder of folders[split]) {
    const annotations = join(root, folder, "_annotations.coco.json");
    if (existsSync(annotations)) return { layout: "roboflow-coco", annotations, images: join(root, folder) };
  }
  for (const name of cocoNames[split]) {
    const annotations = join(root, "annotations", name);
    if (!existsSync(annotations)) continue;
    const images = [name.replace(/^instances_|\.json$/g, ""), ...folders[split], "images"]
      .map((folder) => join(root, folder))
      .find((folder) => existsSync(folder));
    return { layout: "coco", annotations, images: images ?? root };
  }
  return null;
}

/**
 * Reads one split of a dataset folder, whichever layout it has. Class indices of all splits follow the train split's categories.
 * @throws DatasetError naming the folder and what was looked for, or the file and annotation at fault
 */
export function openDataset(root: string, split: Split): Dataset {
  if (!existsSync(root)) throw new DatasetError(`Expected a dataset folder but ${root} does not exist`);
  const coco = findCocoSplit(root, split);
  if (coco !== null) {
    const training = split === "train" ? null : findCocoSplit(root, "train");
    return readCocoFile(coco, training?.annotations ?? null);
  }
  if (findYoloFile(root) !== null) return readYolo(root, split);
  const looked = [
    `${folders[split][0]}/_annotations.coco.json (Roboflow COCO)`,
    `annotations/${cocoNames[split][0]} (COCO)`,
    "data.yaml (YOLO)",
  ];
  throw new DatasetError(`Expected a ${split} split in ${root} but found none of ${looked.join(", ")}`);
}

export function hasSplit(root: string, split: Split): boolean {
  if (findCocoSplit(root, split) !== null) return true;
  if (findYoloFile(root) === null) return false;
  try {
    return readYolo(root, split).images.length > 0;
  } catch {
    return false;
  }
}
