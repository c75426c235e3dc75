// Where the splits of a dataset are: the folders and files that annotation tools write.
import { dirname, extname, join, relative, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { absence } from "../../support/files/near-path.js";
import { checkArgument, filePath } from "../../support/options.js";
import { imageExtensions } from "../images/image-kinds.js";
import { readDatasetList } from "../several/dataset-list.js";
import { type AnnotationFile, annotationFiles, entriesOf, unsplitFiles } from "./annotation-files.js";
import { mayBeCoco } from "./coco-json.js";
import { type Split, splitWords } from "./dataset.js";
import { filesUnder, isFile, isFolder } from "./find-file.js";
import {
  findYoloFile,
  openYoloFile,
  readYoloContent,
  type YoloFile,
  type YoloFolders,
  yoloFolders,
} from "./yolo-file.js";
import { LabelFiles } from "./yolo-label-files.js";

type CocoSource = AnnotationFile & {
  layout: "roboflow-coco" | "coco";
  /** A sentence about several files that may be meant; null where there is one. */
  lost: string | null;
};
type YoloSource = YoloFolders & { layout: "yolo"; yolo: YoloFile };

/** The files of one split. */
export type SplitSource = CocoSource | YoloSource;

/** Where the parts of a dataset are. */
export interface Layout {
  root: string;
  sources: Partial<Record<Split, SplitSource>>;
  /** Annotations that belong to no split; null where there are none. */
  unsplit: SplitSource | null;
}

export const splits = ["train", "valid", "test"] as const;

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
  const yolo = findYoloFile(data);
  for (const split of splits) {
    const labels = yolo === null ? null : findYolo(yolo, split);
    const source = oneSource(data, `the ${split} split`, annotationFiles(data, split), labels);
    if (source !== null) layout.sources[split] = source;
  }
  if (layout.sources.train === undefined) layout.unsplit = findUnsplit(layout, yolo);
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

function findYolo(yolo: YoloFile, split: Split): YoloSource | null {
  const folders = yoloFolders(yolo, split);
  return folders === null ? null : { layout: "yolo", yolo, ...folders };
}

/**
 * The one source of a split.
 * @param what the split, in words
 * @returns a source with `lost` where several may be meant: none of them is guessed; null where there is none
 */
function oneSource(
  root: string,
  what: string,
  files: readonly AnnotationFile[],
  yolo: YoloSource | null,
): SplitSource | null {
  if (files.length === 0) return yolo;
  const labels = yolo !== null && hasLabels(yolo) ? yolo : null;
  const alone = files.length === 1 && labels === null;
  const meant = alone ? files : files.filter(({ annotations }) => mayBeCoco(annotations));
  if (meant.length === 0 && labels !== null) return labels;
  const [file] = [...meant, ...files];
  const names = meant.map(({ annotations }) => relative(root, annotations));
  if (labels !== null) names.push(`the labels of ${relative(root, labels.yolo.path)}`);
  const isYaml = labels !== null && extname(labels.yolo.path) !== ".txt";
  const remedies = [
    ...(isYaml ? [`give ${labels.yolo.path} as the dataset for the labels`] : []),
    ...(meant.length > 1 ? ["merge the files into one"] : []),
    "move elsewhere what is not meant",
  ];
  const lost = `${root} has several annotations for ${what}, ${names.join(" and ")}: ${remedies.join(", or ")}`;
  const layout = file.annotations.toLowerCase().endsWith("_annotations.coco.json") ? "roboflow-coco" : "coco";
  return { layout, ...file, lost: names.length > 1 ? lost : null };
}

/** Whether an image has labels: beside annotations in COCO's form, a YAML file may only name the classes. */
function hasLabels({ yolo, folders, lists }: YoloSource): boolean {
  if (lists.length > 0) return true;
  const images = folders.flatMap(filesUnder).filter((file) => imageExtensions.has(extname(file).toLowerCase()));
  const labels = new LabelFiles(yolo.root, images);
  return images.some((image) => labels.has(image));
}

/** Annotations of a folder that has no train split. */
function findUnsplit({ root, sources }: Layout, yolo: YoloFile | null): SplitSource | null {
  const used = Object.values(sources).flatMap((source) => (source.layout === "yolo" ? [] : [source.annotations]));
  const files = unsplitFiles(root).filter(({ annotations }) => !used.includes(annotations));
  const images = join(root, "images");
  const words = entriesOf(images).map(({ name }) => name);
  const hasSplits = splits.some((split) => splitWords[split].some((word) => words.includes(word)));
  const isYolo = yolo !== null && isFolder(images) && !hasSplits;
  const folder = isYolo ? ({ layout: "yolo", yolo, folders: [images], lists: [], lost: null } as const) : null;
  return oneSource(root, "all images", files, folder);
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
  const below = isFolder(root) ? entriesOf(root).flatMap(({ path }) => (isFolder(path) ? [path] : [])) : [];
  const candidates = [dirname(resolve(root)), ...(below.length <= 20 ? below : [])];
  const isDataset = (folder: string): boolean =>
    annotationFiles(folder, "train").length > 0 || findYoloFile(folder) !== null;
  return candidates.find(isDataset) ?? null;
}
