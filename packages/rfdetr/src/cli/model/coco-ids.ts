// The ids of `rfdetr predict --format coco`: those of an annotation file where one is given.
import { sep } from "node:path";
import { readCocoJson } from "../../data/formats/coco-json.js";
import { type Entry, isEntry, readId } from "../../data/formats/entries.js";
import { imagesNamed, knownNames } from "../../eval/coco/result-names.js";
import { namesBelow } from "../../predict/outputs/output-names.js";
import type { CocoIds, FilePrediction } from "../../predict/outputs/result-formats.js";
import { UsageError } from "../../support/errors.js";
import { counted } from "../../support/format.js";
import type { Console } from "../console/console.js";

/** Ids of a file, and where they are from. */
interface FileIds extends CocoIds {
  path: string;
}

/**
 * The ids of an annotation file for the images to predict; null where none is given.
 * @throws UsageError unless each image is exactly one of the file, or without `--format coco`
 * @throws DataError if the file cannot be read
 */
export function cocoIds(path: string | undefined, format: string | null, files: readonly string[]): FileIds | null {
  if (path === undefined) return null;
  if (format !== "coco")
    throw new UsageError(`Expected --format coco beside --annotations but received ${format ?? "none"}`);
  const document = readCocoJson(path, { segmentations: false });
  const images = (document.images as unknown[]).filter(isEntry);
  const categories = (document.categories as unknown[])
    .filter(isEntry)
    .map(({ id, name }) => ({ id: statedId(id), name: String(name ?? id) }));
  const used = new Set((document.annotations as unknown[]).filter(isEntry).map((entry) => readId(entry.category_id)));
  const names = knownNames(
    images,
    categories.map(({ name }) => name),
    new Set(categories.flatMap(({ id }, label) => (used.has(readId(id)) ? [label] : []))),
  );
  const idOf = new Map<string, number | string>();
  for (const [i, name] of namesBelow(files).entries()) {
    const found = imagesNamed(names, name.replaceAll(sep, "/"));
    const id = found.length === 1 ? statedId((images[found[0]] as Entry).id) : null;
    if (id === null) throw new UsageError(`Expected images of ${path} but ${files[i]} ${whyNot(found.length)}`);
    idOf.set(files[i], id);
  }
  return {
    path,
    imageOf: (file) => idOf.get(file) as number | string,
    categoryOf: (className) => {
      const label = names.classes.get(className.normalize());
      return typeof label === "number" ? categories[label].id : null;
    },
  };
}

/** An id as it stands in the file; null for what is none. */
const statedId = (id: unknown): number | string | null => (readId(id) === null ? null : (id as number | string));

const whyNot = (count: number): string =>
  count === 0 ? "is not among them" : count === 1 ? "has no id there" : "could be more than one of them";

/** Says whose ids the results have, and which detections have none. */
export function tellIds(console: Console, ids: FileIds | null, images: readonly FilePrediction[]): void {
  if (ids === null) {
    console.fact(
      "ids: those of images are their file names, those of categories count the classes of the model from 0. pycocotools goes by ids: if those of your annotation file differ, give it with --annotations",
    );
    return;
  }
  const lacking = images
    .flatMap(({ detections }) => detections.map(({ className }) => className))
    .filter((name) => ids.categoryOf(name) === null);
  if (lacking.length > 0)
    console.warning(
      `${counted(lacking.length, "detection")} of ${[...new Set(lacking)].sort().join(", ")} left out of the results: no single category of ${ids.path} has that name`,
    );
}
