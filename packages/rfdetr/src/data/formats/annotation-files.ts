// Which files of a dataset hold annotations in COCO's form: tools and people leave other JSON files beside them.
import { readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { mayBeCoco } from "./coco-json.js";
import { type Split, splitWords } from "./dataset.js";
import { isClutter, isFile, isFolder } from "./find-file.js";

/** An annotation file, and the folders to search for its images. */
export interface AnnotationFile {
  annotations: string;
  folders: readonly string[];
}

/** Names that tools give to the annotation file in the folder of a split. */
const splitFiles = ["_annotations.coco.json", "annotations.json", "_annotations.json", "labels.json", "result.json"];

/** Annotations of other tasks, and images without any, that COCO has beside those of objects. */
const otherTasks = /captions|keypoints|panoptic|stuff|densepose|image_info/;

/** With more JSON files in a folder than this, they are one for each picture, of another tool. */
const mostFiles = 20;

/** An entry of a folder; its name is in lower case. */
interface FolderEntry {
  name: string;
  path: string;
}

/** Entries of a folder in the order of their names; none if there is no such folder. */
export function entriesOf(folder: string): FolderEntry[] {
  if (!isFolder(folder)) return [];
  const names = readdirSync(folder).filter((name) => !isClutter(name));
  return names.sort().map((name) => ({ name: name.toLowerCase(), path: join(folder, name) }));
}

/** Files that may hold the annotations of a split: those in its folders, and those that are called after it. */
export function annotationFiles(root: string, split: Split): AnnotationFile[] {
  const words = [...splitWords[split].map((word) => `${word}2017`), ...splitWords[split]];
  const own = entriesOf(root).filter(({ name, path }) => words.includes(name) && isFolder(path));
  const inside = own.flatMap(({ path }) => {
    const folders = [path, join(path, "images"), join(path, "data")];
    return jsonOf(path, splitFiles).map((annotations) => ({ annotations, folders }));
  });
  const folders = imageFolders(root, words);
  const named = [join(root, "annotations"), root].flatMap((folder) => filesOfSplit(entriesOf(folder), split));
  return each([...inside, ...named.map((annotations) => ({ annotations, folders }))]);
}

/** Files that may hold annotations of no split. */
export function unsplitFiles(root: string): AnnotationFile[] {
  const usual = [...splitFiles, "instances_default.json"];
  const files = [root, join(root, "annotations")].flatMap((folder) => jsonOf(folder, usual));
  const folders = [join(root, "images", "default"), join(root, "images"), join(root, "data"), root].filter(isFolder);
  return each(files.map((annotations) => ({ annotations, folders })));
}

/** Files that are there under two names, through a link, count once. */
function each(files: readonly AnnotationFile[]): AnnotationFile[] {
  const byFile = new Map<string, AnnotationFile>();
  for (const file of files) {
    const real = isFile(file.annotations) ? realpathSync(file.annotations) : file.annotations;
    if (!byFile.has(real)) byFile.set(real, file);
  }
  return [...byFile.values()];
}

/** JSON files of a folder: those with a usual name, then those that are annotations by what they hold. */
function jsonOf(folder: string, usual: readonly string[]): string[] {
  const files = entriesOf(folder).filter(({ name, path }) => name.endsWith(".json") && !isFolder(path));
  const known = usual.flatMap((name) => files.filter((file) => file.name === name));
  const others = files.filter((file) => !known.includes(file));
  const alike = others.length > mostFiles ? [] : others.filter(({ path }) => mayBeCoco(path));
  const meant = alike.filter(({ name }) => !otherTasks.test(name));
  // Annotations of key points have boxes too: alone they will do.
  const left = known.length + meant.length === 0 && alike.length === 1 ? alike : meant;
  return [...known, ...left].map(({ path }) => path);
}

/** Annotation files whose name has a word for the split, such as `instances_val2017.json`. */
function filesOfSplit(entries: readonly FolderEntry[], split: Split): string[] {
  const files = entries
    .filter(({ name, path }) => name.endsWith(".json") && !otherTasks.test(name) && !isFolder(path))
    .map(({ name, path }) => ({ path, splits: splitsIn(name) }))
    .filter(({ splits }) => splits.at(-1) === split);
  // Of `test_train.json` and `test_val.json` the last word counts; `train_val.json` beside others is of neither split.
  const plain = files.filter(({ splits }) => new Set(splits).size === 1);
  return (plain.length > 0 ? plain : files).map(({ path }) => path);
}

/** The splits that a name has words for, in their order. */
function splitsIn(name: string): Split[] {
  const splits = Object.keys(splitWords) as Split[];
  return name.split(/[^a-z]+/).flatMap((word) => splits.find((split) => splitWords[split].includes(word)) ?? []);
}

/** Folders that may hold the images of a split, the most likely first. */
function imageFolders(root: string, words: readonly string[]): string[] {
  const parents = [root, join(root, "images")].map(entriesOf);
  const found = parents.flatMap((entries) =>
    words.flatMap((word) => entries.flatMap(({ name, path }) => (name === word ? [path] : []))),
  );
  return [...found, join(root, "images"), join(root, "data"), root].filter(isFolder);
}
