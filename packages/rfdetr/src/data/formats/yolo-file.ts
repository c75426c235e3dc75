// The YAML file of a YOLO dataset (Ultralytics, Roboflow), or the list of classes that stands for it.

import { readdirSync } from "node:fs";
import { basename, dirname, extname, isAbsolute, join, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { dataFail, readText } from "../../support/files/text-file.js";
import { readYaml } from "../../support/files/yaml.js";
import { shown } from "../../support/shown.js";
import type { Split } from "./dataset.js";
import { isClutter, isFile, isFolder } from "./find-file.js";

/** The file that names the classes of a YOLO dataset. */
export interface YoloFile {
  /** A YAML file, or a `classes.txt` with a name in each line. */
  path: string;
  /** The dataset folder. */
  root: string;
  /** What the file holds. */
  content: Record<string, unknown>;
}

/** Reads the file that names the classes. @throws DataError */
export function openYoloFile(path: string): YoloFile {
  const content = extname(path) === ".txt" ? { names: readLines(path) } : readYaml(path, dataFail);
  return { path, root: dirname(path), content };
}

/** The lines of a list of classes. One that is empty between others stays, to be refused: labels count the lines. */
function readLines(path: string): string[] {
  const text = readText(path, "list of classes", 2e6, dataFail).trimEnd();
  return text === "" ? [] : text.split(/\r?\n/).map((line) => line.trim());
}

/** The file of a dataset folder; null if there is none. @throws DataError if there are several */
export function findYoloFile(root: string): YoloFile | null {
  if (!isFolder(root)) return null;
  const usual = ["data.yaml", "data.yml", "dataset.yaml", "dataset.yml"]
    .map((name) => join(root, name))
    .filter((path) => isFile(path));
  if (usual.length === 1) return openYoloFile(usual[0]);
  const names = readdirSync(root).filter((name) => /\.ya?ml$/i.test(name) && !isClutter(name));
  const all = names.sort().map((name) => join(root, name));
  const files = (usual.length > 0 ? usual : all).filter(isYoloFile);
  if (files.length > 1)
    throw new DataError(
      `Expected one YAML file with "names" in ${root} but found ${files.map((file) => basename(file)).join(", ")}: give the one to use`,
    );
  const [only] = [...files, ...usual];
  if (only !== undefined) return openYoloFile(only);
  const classes = join(root, "classes.txt");
  return isFile(classes) ? openYoloFile(classes) : null;
}

/** Whether a YAML file names classes. */
function isYoloFile(path: string): boolean {
  try {
    return readYaml(path, dataFail).names !== undefined;
  } catch {
    return false;
  }
}

/** What a YOLO file says beside its splits. */
export interface YoloContent {
  names: string[];
  /** Sentences about what does not fit together. */
  remarks: string[];
  /** Numbers of a key point annotation that follow the box in a line; 0 for boxes and polygons. */
  keypointNumbers: number;
}

/** Reads the classes. @throws DataError if they are none */
export function readYoloContent(file: YoloFile): YoloContent {
  const { path, content } = file;
  const names = classNames(path, content.names);
  const remarks: string[] = [];
  if (content.nc !== undefined && Number(content.nc) !== names.length)
    remarks.push(`${path} says nc: ${String(content.nc)} but names ${names.length} classes; the names count`);
  const [base] = basesOf(file, content.path);
  const named = (["train", "valid", "test"] as const).flatMap((split) => namedEntries(file, split));
  const elsewhere = named.filter((entry) => locate([base], entry) === null && locate([file.root], entry) !== null);
  if (!isFolder(base))
    remarks.push(
      `${path} says path: ${String(content.path)}, which does not exist; its folders are those in ${file.root}`,
    );
  else if (elsewhere.length > 0)
    remarks.push(
      `${path} says path: ${String(content.path)}, which has no ${elsewhere.join(", ")}; taken from ${file.root}`,
    );
  const shape = content.kpt_shape;
  const keypointNumbers = Array.isArray(shape) ? Number(shape[0]) * Number(shape[1]) : 0;
  return { names, remarks, keypointNumbers: Number.isSafeInteger(keypointNumbers) ? keypointNumbers : 0 };
}

function classNames(path: string, names: unknown): string[] {
  if (typeof names !== "object" || names === null)
    throw new DataError(
      `Expected a list or mapping "names" of classes in ${path} but received ${names == null ? "none" : typeof names}`,
    );
  const entries = Object.entries(names);
  if (entries.length === 0)
    throw new DataError(`Expected at least one class under "names" in ${path} but received none`);
  const keys = entries.map(([key]) => Number(key)).sort((a, b) => a - b);
  if (keys.some((key, i) => key !== i))
    throw new DataError(
      `Expected class numbers 0 to ${keys.length - 1} in "names" of ${path} but received ${entries
        .map(([key]) => key)
        .slice(0, 20)
        .join(", ")}`,
    );
  const bad = entries.find(([, name]) => name === null || typeof name === "object" || String(name).trim() === "");
  if (bad !== undefined && extname(path) === ".txt")
    throw new DataError(
      `Expected a name in every line of ${path} but line ${Number(bad[0]) + 1} is empty: labels count the lines from 0, so give that class a name, or remove the line if it stands for none`,
    );
  if (bad !== undefined)
    throw new DataError(`Expected a name for class ${bad[0]} in "names" of ${path} but received ${shown(bad[1])}`);
  const byNumber = names as Record<string, unknown>;
  return keys.map((key) => String(byNumber[key]));
}

/** Where the images of a split are. */
export interface YoloFolders {
  folders: readonly string[];
  /** Text files with the path of an image in each line. */
  lists: readonly string[];
  /** A sentence about what is named and not there. */
  lost: string | null;
}

/**
 * Folders and lists of images of a split: those that the file names, or those with the usual names if it names none.
 * Names are relative to the file's `path`, or to the dataset folder: datasets are moved, and their `path` is not.
 * @returns null if there is no such split; `lost` says what is named and not there
 */
export function yoloFolders(file: YoloFile, split: Split): YoloFolders | null {
  const entries = namedEntries(file, split);
  const words = split === "valid" ? ["valid", "val", "validation"] : [split];
  const usual = words
    .flatMap((name) => [join(file.root, name, "images"), join(file.root, "images", name)])
    .filter(isFolder);
  if (entries.length === 0) return usual.length > 0 ? { folders: usual, lists: [], lost: null } : null;
  const bases = basesOf(file, file.content.path);
  const named = entries.map((entry) => [entry, locate(bases, entry)] as const);
  const found = named.flatMap(([, path]) => path ?? []);
  // Exports name a test split although they hold none.
  if (split === "test" && found.length + usual.length === 0) return null;
  const lost = named.filter(([, path]) => path === null).map(([entry]) => JSON.stringify(entry));
  const folders = found.filter(isFolder).map((folder) => {
    const inner = join(folder, "images");
    return isFolder(inner) ? inner : folder;
  });
  const there = bases.filter(isFolder).join(" or ");
  const sentence = `${file.path} names ${lost.join(", ")} for the ${split} images, but there is no such folder or list (.txt) in ${there}: correct the name, or remove it`;
  return { folders, lists: found.filter((path) => !isFolder(path)), lost: lost.length > 0 ? sentence : null };
}

/** What the file names for a split. */
function namedEntries({ content }: YoloFile, split: Split): unknown[] {
  const value = split === "valid" ? (content.val ?? content.valid ?? content.validation) : content[split];
  return value === undefined || value === null || value === "" ? [] : [value].flat();
}

function basesOf(file: YoloFile, path: unknown): string[] {
  if (typeof path !== "string" || path === "") return [file.root];
  const named = path.replaceAll("\\", "/");
  return [...new Set([isAbsolute(named) ? named : resolve(dirname(file.path), named), file.root])];
}

/** The path of a named folder, or of a named list of images; null if there is none. */
function locate(bases: readonly string[], entry: unknown): string | null {
  if (typeof entry !== "string") return null;
  const name = entry.trim().replaceAll("\\", "/");
  // Roboflow writes ../train/images beside the folder train: a folder inside comes before one beside the dataset.
  const names = [...new Set([name.replace(/^(\.\.?\/)+/, ""), name])];
  const candidates = bases.flatMap((base) => names.map((each) => resolve(base, each)));
  return candidates.find((path) => isFolder(path) || (isFile(path) && extname(path).toLowerCase() === ".txt")) ?? null;
}
