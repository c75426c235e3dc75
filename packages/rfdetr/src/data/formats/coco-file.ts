// COCO annotation files (Lin et al. 2014): JSON with images, annotations and categories.
import { join } from "node:path";
import { DataError } from "../../support/errors.js";
import { readJson } from "../../support/json.js";
import type { Dataset, DatasetImage } from "./dataset.js";

export interface CocoCategory {
  id: number;
  name: string;
  supercategory?: string;
}
export interface CocoImage {
  id: number;
  file_name: string;
  width: number;
  height: number;
}
export interface CocoAnnotation {
  id: number;
  image_id: number;
  category_id: number;
  bbox: [x: number, y: number, width: number, height: number];
  area?: number;
  iscrowd?: number;
}
export interface CocoContent {
  images: CocoImage[];
  annotations: CocoAnnotation[];
  categories: CocoCategory[];
  info?: unknown;
  licenses?: unknown;
}

/** Reads and checks the outline of a file. @throws DataError with the position when it is not whole JSON */
export function parseCoco(path: string): CocoContent {
  const content = readJson(path, (message, cause) => new DataError(message, { cause })) as CocoContent;
  for (const key of ["images", "annotations", "categories"] as const)
    if (!Array.isArray(content?.[key]))
      throw new DataError(
        `Expected a COCO annotation file with a list "${key}" but ${path} has ${content?.[key] === undefined ? "none" : typeof content[key]}`,
      );
  return content;
}

const placeholders = new Set(["", "none", "null"]);

/**
 * Categories that are classes, by ascending id. Grouping categories (named as the supercategory of another one, without annotations of
 * their own), such as the one that Roboflow's exports begin with, are left out; never all of them.
 */
export function classCategories(content: CocoContent): CocoCategory[] {
  const used = new Set(content.annotations.map((a) => a.category_id));
  const parents = new Set(content.categories.filter((c) => c.supercategory !== c.name).map((c) => c.supercategory ?? ""));
  const sorted = [...content.categories].sort((a, b) => a.id - b.id);
  const kept = sorted.filter((c) => used.has(c.id) || !parents.has(c.name) || placeholders.has(c.name.toLowerCase()));
  return kept.length > 0 ? kept : sorted;
}

/**
 * Reads a split into memory. Boxes become corners, are clipped to the image, and dropped when nothing is left of them.
 * @param trainingFile annotation file whose categories give the class indices; null when it is this one
 */
export function readCocoFile(source: { layout: string; annotations: string; images: string }, trainingFile: string | null): Dataset {
  const path = source.annotations;
  const content = parseCoco(path);
  const categories = classCategories(trainingFile === null ? content : parseCoco(trainingFile));
  if (categories.length === 0) throw new DataError(`Expected at least one category in ${trainingFile ?? path} but received none`);
  const classOf = new Map(categories.map((c, i) => [c.id, i]));
  const warnings: string[] = [];

  const byImage = new Map<number, CocoAnnotation[]>();
  for (const image of content.images) {
    if (byImage.has(image.id))
      throw new DataError(
        `Expected image ids to be unique in ${path} but ${image.id} stands twice (${image.file_name}): run rfdetr data check`,
      );
    byImage.set(image.id, []);
  }
  for (const annotation of content.annotations) {
    const where = `annotation ${annotation.id} of ${path}`;
    const list = byImage.get(annotation.image_id);
    if (list === undefined)
      throw new DataError(
        `Expected the id of an image for image_id in ${where} but received ${annotation.image_id}: run rfdetr data check --fix`,
      );
    if (!classOf.has(annotation.category_id))
      throw new DataError(
        `Expected one of the training categories ${[...classOf.keys()].join(", ")} for category_id in ${where} but received ${annotation.category_id}: run rfdetr data check --fix`,
      );
    if (!Array.isArray(annotation.bbox) || annotation.bbox.length !== 4 || !annotation.bbox.every(Number.isFinite))
      throw new DataError(
        `Expected four numbers for bbox in ${where} but received ${JSON.stringify(annotation.bbox)}: run rfdetr data check --fix`,
      );
    list.push(annotation);
  }

  let dropped = 0;
  const images = content.images.map((image): DatasetImage => {
    if (!(image.width > 0 && image.height > 0))
      throw new DataError(
        `Expected positive width and height for image ${image.id} (${image.file_name}) of ${path} but received ${image.width} and ${image.height}`,
      );
    const collect = (crowd: boolean): { boxes: Float32Array; labels: Int32Array; areas: Float64Array } => {
      const boxes: number[] = [];
      const labels: number[] = [];
      const areas: number[] = [];
      for (const annotation of byImage.get(image.id) ?? []) {
        if ((annotation.iscrowd === 1) !== crowd) continue;
        const [x, y, w, h] = annotation.bbox;
        const box = [Math.max(0, x), Math.max(0, y), Math.min(image.width, x + w), Math.min(image.height, y + h)];
        if (box[2] <= box[0] || box[3] <= box[1]) {
          dropped++;
          continue;
        }
        boxes.push(...box);
        labels.push(classOf.get(annotation.category_id) as number);
        areas.push(annotation.area ?? w * h);
      }
      return { boxes: Float32Array.from(boxes), labels: Int32Array.from(labels), areas: Float64Array.from(areas) };
    };
    return {
      id: image.id,
      file: join(source.images, image.file_name),
      width: image.width,
      height: image.height,
      ...collect(false),
      crowd: collect(true),
    };
  });
  if (dropped > 0) warnings.push(`${dropped} empty boxes of ${path} are left out (rfdetr data check names them)`);
  return { layout: source.layout, images, classNames: categories.map((c) => c.name), categoryIds: categories.map((c) => c.id), warnings };
}
