// YOLO datasets: data.yaml (Ultralytics or Roboflow), and a text file of normalised boxes or polygons for each image.
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { parse } from "yaml";
import { DataError } from "../../support/errors.js";
import { isSystemError, reasonOf } from "../../support/system-error.js";
import { readImageHeader } from "../images/image-header.js";
import { imageExtensions } from "../images/image-kinds.js";
import type { Dataset, DatasetImage, Split } from "./dataset.js";

/** Path of the data.yaml of a dataset folder; null if there is none. */
export function findYoloFile(root: string): string | null {
  return ["data.yaml", "data.yml"].map((name) => join(root, name)).find((path) => existsSync(path)) ?? null;
}

interface YoloFile {
  path?: string;
  train?: string | string[];
  val?: string | string[];
  valid?: string | string[];
  test?: string | string[];
  names?: string[] | Record<string, string>;
}

function classNames(path: string, names: YoloFile["names"]): string[] {
  if (Array.isArray(names)) return names.map(String);
  if (typeof names !== "object" || names === null)
    throw new DataError(
      `Expected a list or mapping "names" of classes in ${path} but received ${names === undefined ? "none" : typeof names}`,
    );
  const keys = Object.keys(names)
    .map(Number)
    .sort((a, b) => a - b);
  if (keys.some((key, i) => key !== i))
    throw new DataError(
      `Expected class numbers 0 to ${keys.length - 1} in "names" of ${path} but received ${Object.keys(names).join(", ")}`,
    );
  return keys.map((key) => String(names[key]));
}

/**
 * Image folders of a split: those that the file names, else Roboflow's. Names are relative to the file's `path`, or
 * to the dataset folder, because datasets are moved and their `path` is not. They must be inside the dataset folder.
 * A folder with `images` and `labels` in it stands for its `images`.
 */
function imageFolders(root: string, file: string, content: YoloFile, split: Split): string[] {
  const named = split === "valid" ? (content.val ?? content.valid) : content[split];
  const base =
    content.path === undefined ? root : isAbsolute(content.path) ? content.path : resolve(root, content.path);
  const list = named === undefined ? [] : Array.isArray(named) ? named : [named];
  const found: string[] = [];
  for (const entry of list) {
    const candidates = [resolve(base, entry), resolve(root, entry), resolve(root, entry.replace(/^(\.\.[\\/])+/, ""))];
    const folders = candidates.filter((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
    const folder = folders.find((path) => isInside(resolve(root), path));
    if (folder !== undefined) found.push(existsSync(join(folder, "images")) ? join(folder, "images") : folder);
    else if (folders.length > 0)
      throw new DataError(`Expected the ${split} images of ${file} inside the dataset folder but received ${entry}`);
    else if (candidates.some((path) => existsSync(path)))
      throw new DataError(
        `Expected a folder for the ${split} images of ${file} but ${entry} is a file: name the folder of its images`,
      );
  }
  if (found.length > 0) return found;
  const fallback = (split === "valid" ? ["valid", "val"] : [split]).flatMap((name) => [
    join(root, name, "images"),
    join(root, "images", name),
  ]);
  return fallback.filter((path) => existsSync(path));
}

function isInside(root: string, path: string): boolean {
  const way = relative(root, path);
  return !way.startsWith("..") && !isAbsolute(way);
}

/** Reads one split. Polygons become their bounding boxes. @throws DataError naming file and line */
export function readYolo(root: string, split: Split): Dataset {
  const file = findYoloFile(root) as string;
  let content: YoloFile;
  try {
    content = parse(readFileSync(file, "utf8")) as YoloFile;
  } catch (error) {
    throw new DataError(
      `Expected YAML in ${file} but it ${isSystemError(error) ? "cannot be read" : "is broken"}: ${reasonOf(error).split("\n")[0]}`,
      { cause: error },
    );
  }
  const names = classNames(file, content?.names);
  const directories = imageFolders(root, file, content, split);
  if (directories.length === 0)
    throw new DataError(
      `Expected a folder of ${split} images for ${file} but found none: name it under "${split === "valid" ? "val" : split}"`,
    );
  const images: DatasetImage[] = [];
  for (const directory of directories)
    for (const name of readdirSync(directory).sort()) {
      if (!imageExtensions.has(extname(name).toLowerCase())) continue;
      const path = join(directory, name);
      const { width, height } = readImageHeader(path);
      images.push({
        id: images.length,
        file: path,
        width,
        height,
        orientation: 1,
        ...readLabels(labelFile(path), width, height, names.length),
        crowd: { boxes: new Float32Array(0), labels: new Int32Array(0), areas: new Float64Array(0) },
      });
    }
  return { layout: "yolo", images, classNames: names, categoryIds: names.map((_, i) => i), warnings: [] };
}

/**
 * `…/images/…/x.jpg` has its labels in `…/labels/…/x.txt`: the last `images` in the path for which that folder
 * exists.
 */
function labelFile(image: string): string {
  const parts = dirname(image).split(sep);
  const name = `${basename(image, extname(image))}.txt`;
  const folders = parts.flatMap((part, i) => (part === "images" ? [parts.with(i, "labels").join(sep)] : [])).reverse();
  return join(folders.find((folder) => existsSync(folder)) ?? folders[0] ?? parts.join(sep), name);
}

function readLabels(
  path: string,
  width: number,
  height: number,
  classes: number,
): Pick<DatasetImage, "boxes" | "labels" | "areas"> {
  const boxes: number[] = [];
  const labels: number[] = [];
  const lines = existsSync(path) ? readFileSync(path, "utf8").split(/\r?\n/) : [];
  lines.forEach((line, i) => {
    const fields = line.trim().split(/\s+/).map(Number);
    if (line.trim() === "") return;
    const where = `line ${i + 1} of ${path}`;
    const [label, ...numbers] = fields;
    if (!fields.every(Number.isFinite) || (fields.length !== 5 && (fields.length < 7 || fields.length % 2 === 0)))
      throw new DataError(
        `Expected a class and four box numbers, or a class and at least three polygon points, in ${where} ` +
          `but received ${fields.length} fields`,
      );
    if (!Number.isInteger(label) || label < 0 || label >= classes)
      throw new DataError(`Expected a class from 0 to ${classes - 1} in ${where} but received ${label}`);
    let corners: number[];
    if (numbers.length === 4) {
      const [x, y, w, h] = numbers;
      corners = [x - w / 2, y - h / 2, x + w / 2, y + h / 2];
    } else {
      const xs = numbers.filter((_, k) => k % 2 === 0);
      const ys = numbers.filter((_, k) => k % 2 === 1);
      corners = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
    }
    const box = corners.map((c, k) => Math.min(Math.max(c, 0), 1) * (k % 2 === 0 ? width : height));
    if (box[2] <= box[0] || box[3] <= box[1]) return;
    boxes.push(...box);
    labels.push(label);
  });
  return {
    boxes: Float32Array.from(boxes),
    labels: Int32Array.from(labels),
    areas: Float64Array.from(
      labels,
      (_, i) => (boxes[i * 4 + 2] - boxes[i * 4]) * (boxes[i * 4 + 3] - boxes[i * 4 + 1]),
    ),
  };
}
