// Where the splits of a dataset are: the folders and files that annotation tools write.
import { readdirSync } from "node:fs";
import { dirname, extname, join, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { absence } from "../../support/files/near-path.js";
import { checkArgument, filePath } from "../../support/options.js";
import { readDatasetList } from "../several/dataset-list.js";
import { type Split, splitWords } from "./dataset.js";
import { isClutter, isFile, isFolder } from "./find-file.js";
import {
  findYoloFile,
  openYoloFile,
  readYoloContent,
  type YoloFile,
  type YoloFolders,
  yoloFolders,
} from "./yolo-file.js";

/** The files of one split. */
export type SplitSource =
  | {
      layout: "roboflow-coco" | "coco";
      annotations: string;
      /** Folders to search for the images. */
      folders: readonly string[];
    }
  | ({ layout: "yolo"; yolo: YoloFile } & YoloFolders);

/** Where the parts of a dataset are. */
export interface Layout {
  root: string;
  sources: Partial<Record<Split, SplitSource>>;
  /** Annotations that belong to no split; null where there are none. */
  unsplit: SplitSource | null;
}

export const splits = ["train", "valid", "test"] as const;

/** Names that tools give to the annotation file in the folder of a split. */
const splitFiles = ["_annotations.coco.json", "annotations.json", "_annotations.json", "labels.json", "result.json"];

/**
 * Finds the splits of a dataset.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws DataError if there is neither
 */
export function findLayout(data: string): Layout {
  checkArgument("data", data, filePath);
  if (isFile(data)) return findFileLayout(data);
  if (!isFolder(data)) throw new DataError(`Expected a dataset folder but ${data} ${absence(data)}`);
  const layout: Layout = { root: data, sources: {}, unsplit: null };
  for (const split of splits) {
    const source = findCoco(data, split);
    if (source !== null) layout.sources[split] = source;
  }
  if (splits.every((split) => layout.sources[split] !== undefined)) return layout;
  const yolo = findYoloFile(data);
  for (const split of splits) {
    const source = yolo === null ? null : findYolo(yolo, split);
    if (source !== null) layout.sources[split] ??= source;
  }
  const train = layout.sources.train;
  const named = Object.values(layout.sources);
  const unsplit = train === undefined || named.every(isLost) ? findUnsplit(data, yolo) : null;
  // An exported file that names folders of splits, beside one folder of images: the splits are not there.
  if (train !== undefined && unsplit !== null) layout.sources = {};
  layout.unsplit = unsplit;
  return layout;
}

function findFileLayout(data: string): Layout {
  const list = readDatasetList(data);
  if (list !== null)
    throw new DataError(
      `Expected one dataset but ${data} lists ${list.length}: look at each of ${list.map(({ path }) => path).join(", ")} by itself`,
    );
  if (extname(data).toLowerCase() === ".json")
    throw new DataError(`Expected a dataset folder but received the annotation file ${data}: give the folder`);
  if (![".yaml", ".yml"].includes(extname(data).toLowerCase()))
    throw new DataError(`Expected a dataset folder or a YAML file but received ${data}`);
  const yolo = openYoloFile(data);
  // What is wrong with the classes says more than that no split was found.
  readYoloContent(yolo);
  const layout: Layout = { root: dirname(data), sources: {}, unsplit: null };
  for (const split of splits) {
    const source = findYolo(yolo, split);
    if (source !== null) layout.sources[split] = source;
  }
  return layout;
}

function findYolo(yolo: YoloFile, split: Split): SplitSource | null {
  const folders = yoloFolders(yolo, split);
  return folders === null ? null : { layout: "yolo", yolo, ...folders };
}

/** Whether nothing of what a file names for a split is there. */
function isLost(source: SplitSource): boolean {
  return source.layout === "yolo" && source.lost !== null && source.folders.length + source.lists.length === 0;
}

/** Entries of a folder by their names in lower case; none if there is no such folder. */
function entriesOf(folder: string): Map<string, string> {
  if (!isFolder(folder)) return new Map();
  const names = readdirSync(folder).filter((name) => !isClutter(name));
  return new Map(names.sort().map((name) => [name.toLowerCase(), join(folder, name)]));
}

function findCoco(root: string, split: Split): SplitSource | null {
  const top = entriesOf(root);
  for (const word of [...splitWords[split], ...splitWords[split].map((each) => `${each}2017`)]) {
    const folder = top.get(word);
    if (folder === undefined || !isFolder(folder)) continue;
    const inside = entriesOf(folder);
    const file = splitFiles.map((name) => inside.get(name)).find((path) => path !== undefined) ?? onlyJson(inside);
    if (file === undefined) continue;
    const layout = file.toLowerCase().endsWith("_annotations.coco.json") ? "roboflow-coco" : "coco";
    return { layout, annotations: file, folders: [folder, join(folder, "images"), join(folder, "data")] };
  }
  for (const folder of [join(root, "annotations"), root]) {
    const annotations = fileOfSplit(entriesOf(folder), split);
    if (annotations !== undefined) return { layout: "coco", annotations, folders: imageFolders(root, split) };
  }
  return null;
}

/** The JSON file of a folder that has only one. */
function onlyJson(entries: ReadonlyMap<string, string>): string | undefined {
  const files = [...entries].filter(([name]) => name.endsWith(".json")).map(([, path]) => path);
  return files.length === 1 ? files[0] : undefined;
}

/** The annotation file whose name has a word for the split, such as `instances_val2017.json`. */
function fileOfSplit(entries: ReadonlyMap<string, string>, split: Split): string | undefined {
  const matches = [...entries].filter(
    ([name]) =>
      name.endsWith(".json") &&
      !/captions|keypoints|panoptic|stuff/.test(name) &&
      name.split(/[^a-z]+/).some((word) => splitWords[split].includes(word)),
  );
  // COCO's own file first, then the shortest name.
  const rank = ([name]: [string, string]): number => (name.startsWith("instances_") ? 0 : 1000) + name.length;
  return matches.sort((a, b) => rank(a) - rank(b))[0]?.[1];
}

/** Folders that may hold the images of a split, the most likely first. */
function imageFolders(root: string, split: Split): string[] {
  const names = [...splitWords[split].map((word) => `${word}2017`), ...splitWords[split]];
  const parents = [root, join(root, "images")].map((parent) => [parent, entriesOf(parent)] as const);
  const found = parents.flatMap(([, entries]) => names.flatMap((name) => entries.get(name) ?? []));
  return [...found, join(root, "images"), join(root, "data"), root].filter(isFolder);
}

/** Annotations of a folder that has no train split. */
function findUnsplit(root: string, yolo: YoloFile | null): SplitSource | null {
  for (const folder of [root, join(root, "annotations")]) {
    const entries = entriesOf(folder);
    const file =
      [...splitFiles, "instances_default.json"].map((name) => entries.get(name)).find((path) => path !== undefined) ??
      onlyJson(entries);
    if (file === undefined) continue;
    const folders = [join(root, "images", "default"), join(root, "images"), join(root, "data"), root].filter(isFolder);
    return { layout: "coco", annotations: file, folders };
  }
  const images = join(root, "images");
  const inside = entriesOf(images);
  const hasSplits = splits.some((split) => splitWords[split].some((word) => inside.has(word)));
  if (yolo === null || !isFolder(images) || hasSplits) return null;
  return { layout: "yolo", yolo, folders: [images], lists: [], lost: null };
}

/** What was looked for and what is there, for a dataset whose split was not found. */
export function missingSplit({ root, sources, unsplit }: Layout, split: Split): string {
  const found = splits.filter((each) => sources[each] !== undefined);
  if (unsplit !== null) {
    const file = unsplit.layout === "yolo" ? unsplit.folders[0] : unsplit.annotations;
    return `${root} has no splits, only ${file}: rfdetr data split makes them`;
  }
  if (found.length > 0) {
    const remedy =
      split === "valid" && sources.train !== undefined ? ": rfdetr data split takes a share of train for it" : "";
    return `${root} has no ${split} split, only ${found.join(" and ")}${remedy}`;
  }
  const near = nearFolder(root);
  const looked = `${split}/_annotations.coco.json, annotations/instances_${split}.json (COCO) or data.yaml (YOLO)`;
  return `${root} is no dataset: it has none of ${looked}${near === null ? "" : `; ${near} is one`}`;
}

/** A dataset beside: the folder above, or the only one below. */
function nearFolder(root: string): string | null {
  const below = isFolder(root) ? [...entriesOf(root).values()].filter(isFolder) : [];
  const candidates = [dirname(resolve(root)), ...(below.length <= 20 ? below : [])];
  const isDataset = (folder: string): boolean => findCoco(folder, "train") !== null || findYoloFile(folder) !== null;
  return candidates.find(isDataset) ?? null;
}
