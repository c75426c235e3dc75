// Opens a split of a dataset folder of any layout.
import { existsSync } from "node:fs";
import { DataError } from "../../support/errors.js";
import { orNearPath } from "../../support/near-path.js";
import { isSystemError, reasonOf } from "../../support/system-error.js";
import { readCocoFile } from "./coco-file.js";
import { cocoNames, findCocoSplit, splitFolders } from "./coco-split.js";
import type { Dataset, Split } from "./dataset.js";
import { findYoloFile, readYolo } from "./yolo.js";

/**
 * Reads one split of a dataset folder of any layout. Class indices of all splits follow the categories of the train
 * split.
 * @throws DataError naming the folder and the files that were looked for, or the file and annotation at fault
 * @example
 * import { openDataset } from "rfdetr/data";
 * const { images, classNames } = openDataset("birds/", "train");
 */
export function openDataset(root: string, split: Split): Dataset {
  if (!existsSync(root)) throw new DataError(`Expected a dataset folder but ${root} does not exist${orNearPath(root)}`);
  try {
    return read(root, split);
  } catch (error) {
    if (!isSystemError(error)) throw error;
    throw new DataError(
      `Expected a readable dataset in ${root} but ${error.path ?? "a file"} cannot be read: ${reasonOf(error)}`,
      {
        cause: error,
      },
    );
  }
}

function read(root: string, split: Split): Dataset {
  const coco = findCocoSplit(root, split);
  if (coco !== null) {
    const training = split === "train" ? null : findCocoSplit(root, "train");
    return readCocoFile(coco, training?.annotations ?? null);
  }
  if (findYoloFile(root) !== null) return readYolo(root, split);
  const looked = [
    `${splitFolders[split][0]}/_annotations.coco.json (Roboflow COCO)`,
    `annotations/${cocoNames[split][0]} (COCO)`,
    "data.yaml (YOLO)",
  ];
  throw new DataError(`Expected a ${split} split in ${root} but found none of ${looked.join(", ")}`);
}

/** Whether a dataset folder has a split that can be opened and, for YOLO, has images. */
export function hasSplit(root: string, split: Split): boolean {
  if (findCocoSplit(root, split) !== null) return true;
  if (findYoloFile(root) === null) return false;
  try {
    return readYolo(root, split).images.length > 0;
  } catch {
    return false;
  }
}
