// Files of datasets in any layout, for tests of what reads them.
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { testFolder } from "./test-folder.js";

/** The dataset of a test; empty before each. */
export const folder = testFolder({ emptied: true });

/** A JPEG of 40 × 20 pixels. */
export const picture = await sharp({ create: { width: 40, height: 20, channels: 3, background: "#808080" } })
  .jpeg()
  .toBuffer();

/** Writes a file of the dataset; an object becomes JSON. */
export function put(path: string, content: string | Buffer | object): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
}

/** Annotations of pictures in COCO's form: a dog on the first, and what is given beside it. */
export const coco = (names: string[], extra: object[] = []) => ({
  images: names.map((file_name, i) => ({ id: i + 1, file_name, width: 40, height: 20 })),
  categories: [
    { id: 18, name: "dog", supercategory: "animal" },
    { id: 1, name: "person", supercategory: "person" },
  ],
  annotations: [{ id: 1, image_id: 1, category_id: 18, bbox: [4, 2, 10, 10], area: 100, iscrowd: 0 }, ...extra],
});
