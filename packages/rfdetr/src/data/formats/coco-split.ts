// Finds the splits of a COCO dataset.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Split } from "./dataset.js";

/** Folder names of a split, the usual one first. */
export const splitFolders: Record<Split, readonly string[]> = {
  train: ["train"],
  valid: ["valid", "val"],
  test: ["test"],
};
/** Names of a split's annotation file in COCO's own layout. */
export const cocoNames: Record<Split, readonly string[]> = {
  train: ["instances_train2017.json", "instances_train.json", "train.json"],
  valid: ["instances_val2017.json", "instances_val.json", "instances_valid.json", "val.json", "valid.json"],
  test: ["instances_test2017.json", "instances_test.json", "test.json"],
};

/** Annotation file and image folder of a COCO split, in Roboflow's layout or COCO's own; null if there is none. */
export function findCocoSplit(
  root: string,
  split: Split,
): { layout: string; annotations: string; images: string } | null {
  for (const folder of splitFolders[split]) {
    const annotations = join(root, folder, "_annotations.coco.json");
    if (existsSync(annotations)) return { layout: "roboflow-coco", annotations, images: join(root, folder) };
  }
  for (const name of cocoNames[split]) {
    const annotations = join(root, "annotations", name);
    if (!existsSync(annotations)) continue;
    const images = [name.replace(/^instances_|\.json$/g, ""), ...splitFolders[split], "images"]
      .map((folder) => join(root, folder))
      .find((folder) => existsSync(folder));
    return { layout: "coco", annotations, images: images ?? root };
  }
  return null;
}
