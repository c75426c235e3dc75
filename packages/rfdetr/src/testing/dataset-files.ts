// Small datasets for tests: pictures with one coloured rectangle each, and a box around it.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import sharp from "sharp";

/** Size of the pictures, and the rectangle in each: left, top, width, height in pixels. */
export const picture = { width: 40, height: 30 } as const;
export const rectangle = [6, 3, 12, 9] as const;

/** A grey picture with a rectangle of a colour; written as the name ends. */
export async function writePicture(
  path: string,
  colour = "#ff0000",
  size: { width: number; height: number } = picture,
) {
  mkdirSync(dirname(path), { recursive: true });
  const [left, top, width, height] = rectangle;
  const input = await sharp({ create: { width, height, channels: 3, background: colour } })
    .png()
    .toBuffer();
  await sharp({ create: { ...size, channels: 3, background: "#808080" } })
    .composite([{ input, left, top }])
    .toFile(path);
}

/** The content of an annotation file, as loose as files are. */
export interface Content {
  images: Record<string, unknown>[];
  annotations: Record<string, unknown>[];
  categories: Record<string, unknown>[];
  [rest: string]: unknown;
}

/** Annotations of `a.jpg` (an owl and a duck) and `b.jpg` (a duck). */
function cocoContent(): Content {
  return {
    images: [
      { id: 1, file_name: "a.jpg", ...picture },
      { id: 2, file_name: "b.jpg", ...picture },
    ],
    categories: [
      { id: 3, name: "duck" },
      { id: 7, name: "owl" },
    ],
    annotations: [
      { id: 10, image_id: 1, category_id: 7, bbox: [...rectangle] },
      { id: 11, image_id: 1, category_id: 3, bbox: [30, 20, 10.4, 10.4] },
      { id: 12, image_id: 2, category_id: 3, bbox: [0, 0, 40, 30] },
    ],
  };
}

export const annotationsOf = (folder: string, split: string): string => join(folder, split, "_annotations.coco.json");

/** Writes a dataset in Roboflow's COCO layout with the splits train and valid. */
export async function writeCoco(folder: string): Promise<void> {
  for (const split of ["train", "valid"]) {
    await writePicture(join(folder, split, "a.jpg"));
    await writePicture(join(folder, split, "b.jpg"), "#0000ff");
    writeFileSync(annotationsOf(folder, split), JSON.stringify(cocoContent()));
  }
}

/** Changes the annotations of a split. */
export function editCoco(folder: string, split: string, change: (content: Content) => void): void {
  const path = annotationsOf(folder, split);
  const content = JSON.parse(readFileSync(path, "utf8")) as Content;
  change(content);
  writeFileSync(path, JSON.stringify(content));
}

/** Writes a dataset in Roboflow's YOLO layout: a cat on `a.jpg`, a dog on `b.jpg`. */
export async function writeYolo(folder: string): Promise<void> {
  for (const split of ["train", "valid"]) {
    await writePicture(join(folder, split, "images", "a.jpg"));
    await writePicture(join(folder, split, "images", "b.jpg"), "#0000ff");
    for (const [name, label] of [
      ["a", 0],
      ["b", 1],
    ] as const)
      writeLabels(folder, split, name, [`${label} 0.3 0.25 0.3 0.3`]);
  }
  writeFileSync(join(folder, "data.yaml"), "train: train/images\nval: valid/images\nnames: [cat, dog]\n");
}

/** Writes the label file of an image. */
export function writeLabels(folder: string, split: string, name: string, lines: readonly string[]): void {
  const path = join(folder, split, "labels", `${name}.txt`);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
}
