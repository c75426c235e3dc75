// @ts-check
// The valid files that are damaged: weights, a dataset in both layouts, images, and the folder of a run. Small.
import { spawnSync } from "node:child_process";
import { copyFileSync, cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { synthesize } from "../../packages/rfdetr/dist/data/index.js";
import { RFDETRModel, resolveModel } from "../../packages/rfdetr/dist/model/index.js";
import { savePythonCheckpoint, saveWeights } from "../../packages/rfdetr/dist/weights/index.js";
import { manualSeed } from "../../packages/torch/dist/index.js";

// A dependency of the package rfdetr.
const sharp = createRequire(new URL("../../packages/rfdetr/package.json", import.meta.url))("sharp");
const command = fileURLToPath(new URL("../../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));

/** A model that is small enough to be written a thousand times. */
const sizes = { numClasses: 2, numQueries: 4, groupDetr: 2, resolution: 32 };

/**
 * Makes the files in a folder.
 * @param {string} folder
 */
export async function makeInputs(folder) {
  const at = (/** @type {string[]} */ ...names) => join(folder, ...names);
  mkdirSync(folder, { recursive: true });
  manualSeed(0);
  const config = resolveModel("tiny", sizes);
  const state = new RFDETRModel(config).stateDict();
  const info = { classNames: ["dog", "cat"], config };
  saveWeights(at("model.safetensors"), state, info);
  savePythonCheckpoint(at("model.pth"), state, info);
  await synthesize(at("coco"), { images: 8, size: 64, classes: 2, seed: 1 });
  toYolo(at("coco"), at("yolo"));
  await images(at("images"));
  results(at("coco", "valid", "_annotations.coco.json"), at("results"));
  train(at("coco"), at("run"));
  writeFileSync(
    at("settings.json"),
    JSON.stringify(JSON.parse(readFileSync(at("run", "config.json"), "utf8")).settings),
  );
}

/** @param {string} from @param {string} to */
function toYolo(from, to) {
  for (const split of ["train", "valid"]) {
    mkdirSync(join(to, split, "images"), { recursive: true });
    mkdirSync(join(to, split, "labels"), { recursive: true });
    const { images, annotations, categories } = annotationsOf(join(from, split, "_annotations.coco.json"));
    for (const { id, file_name: name, width, height } of images) {
      copyFileSync(join(from, split, name), join(to, split, "images", name));
      const lines = annotations
        .filter((each) => each.image_id === id)
        .map(({ category_id: category, bbox: [x, y, w, h] }, i) => {
          const label = categories.findIndex((each) => each.id === category);
          const corners = [x, y, x + w, y, x + w, y + h, x, y + h].map((c, k) => c / (k % 2 === 0 ? width : height));
          // The second object of an image has a box, the others a polygon.
          if (i !== 1) return [label, ...corners].join(" ");
          return [label, (x + w / 2) / width, (y + h / 2) / height, w / width, h / height].join(" ");
        });
      writeFileSync(join(to, split, "labels", `${name.replace(/\.\w+$/, "")}.txt`), `${lines.join("\n")}\n`);
    }
  }
  writeFileSync(join(to, "data.yaml"), "train: train/images\nval: valid/images\nnc: 2\nnames: [dog, cat]\n");
}

/**
 * @param {string} path
 * @returns {{images: {id: number, file_name: string, width: number, height: number}[],
 *   annotations: {image_id: number, category_id: number, bbox: number[]}[], categories: {id: number}[]}}
 */
const annotationsOf = (path) => JSON.parse(readFileSync(path, "utf8"));

/** @param {string} folder */
async function images(folder) {
  mkdirSync(folder, { recursive: true });
  const noise = Buffer.from(Array.from({ length: 24 * 16 * 3 }, (_, i) => (i * 37) % 256));
  const picture = () => sharp(noise, { raw: { width: 24, height: 16, channels: 3 } });
  const exif = { IFD0: { Orientation: "6" } };
  await picture().jpeg().withExif(exif).toFile(join(folder, "a.jpg"));
  await picture().png().toFile(join(folder, "a.png"));
  await picture().webp().toFile(join(folder, "a.webp"));
  await picture().tiff().toFile(join(folder, "a.tiff"));
  await picture().gif().toFile(join(folder, "a.gif"));
  writeFileSync(join(folder, "a.bmp"), bitmap(24, 16));
}

/** An uncompressed BMP. @param {number} width @param {number} height */
function bitmap(width, height) {
  const head = Buffer.alloc(54);
  const size = width * height * 3;
  head.write("BM", "latin1");
  head.writeUInt32LE(54 + size, 2);
  head.writeUInt32LE(54, 10);
  head.writeUInt32LE(40, 14);
  head.writeInt32LE(width, 18);
  head.writeInt32LE(height, 22);
  head.writeUInt16LE(1, 26);
  head.writeUInt16LE(24, 28);
  head.writeUInt32LE(size, 34);
  return Buffer.concat([head, Buffer.alloc(size, 120)]);
}

/** @param {string} annotations @param {string} folder */
function results(annotations, folder) {
  mkdirSync(folder, { recursive: true });
  copyFileSync(annotations, join(folder, "annotations.json"));
  const rows = annotationsOf(annotations).annotations.map(({ image_id, category_id, bbox }) => ({
    image_id,
    category_id,
    bbox,
    score: 0.5,
  }));
  writeFileSync(join(folder, "results.json"), JSON.stringify(rows));
}

/** Trains two steps. @param {string} data @param {string} out */
function train(data, out) {
  const settings = [
    "max_steps=2",
    "multi_scale=off",
    "num_workers=0",
    "num_queries=4",
    "group_detr=2",
    "tensorboard=false",
  ];
  const flags = ["--model", "tiny", "--resolution", "32", "--batch", "2", "--precision", "32-true", "--seed", "0"];
  const args = [
    "train",
    "--data",
    data,
    "--out",
    out,
    "--plain",
    ...flags,
    ...settings.flatMap((one) => ["--set", one]),
  ];
  const { status, stderr } = spawnSync(process.execPath, [command, ...args], { encoding: "utf8" });
  if (status !== 0) throw new Error(`The run to damage could not be made: ${stderr}`);
}

/**
 * Copies a folder and puts a damaged file in the place of one.
 * @param {string} from
 * @param {string} to
 * @param {string} name
 * @param {Buffer | string} content
 */
export function withFile(from, to, name, content) {
  cpSync(from, to, { recursive: true });
  writeFileSync(join(to, name), content);
}
