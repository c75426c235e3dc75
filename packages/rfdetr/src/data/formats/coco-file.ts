// COCO annotation files (Lin et al. 2014): JSON with images, annotations and categories.
import { join } from "node:path";
import { DataError } from "../../support/errors.js";
import { readJson } from "../../support/json.js";
import type { Dataset, DatasetImage, Regions } from "./dataset.js";

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

/**
 * Reads a file and checks its three lists.
 * @throws DataError if it cannot be read, is not whole JSON, or lacks a list
 */
export function parseCoco(path: string): CocoContent {
  const content = readJson(path, (message, cause) => new DataError(message, { cause })) as CocoContent;
  for (const key of ["images", "annotations", "categories"] as const)
    if (!Array.isArray(content?.[key]))
      throw new DataError(
        `Expected a COCO annotation file with a list "${key}" but ${path} has ${kindOf(content?.[key])}`,
      );
  return content;
}

const kindOf = (value: unknown): string => (value === undefined ? "none" : typeof value);

const placeholders = new Set(["", "none", "null"]);

/**
 * Categories that are classes, by ascending id. A category that only groups others is left out: one that is the
 * supercategory of another and has no annotations of its own, such as the first category of Roboflow's exports. If that
 * would leave none, all are kept.
 */
export function classCategories(content: CocoContent): CocoCategory[] {
  const used = new Set(content.annotations.map((a) => a.category_id));
  const parents = new Set(
    content.categories.filter((c) => c.supercategory !== c.name).map((c) => c.supercategory ?? ""),
  );
  const sorted = [...content.categories].sort((a, b) => a.id - b.id);
  const kept = sorted.filter((c) => used.has(c.id) || !parents.has(c.name) || placeholders.has(c.name.toLowerCase()));
  return kept.length > 0 ? kept : sorted;
}

const remedy = "run rfdetr data check to find every such fault";

/**
 * Reads a split into memory. Boxes become corners and are clipped to the image; boxes that are empty then are left out.
 * @param trainingFile annotation file whose categories give the class indices; null if it is this one
 * @throws DataError naming the file and the entry at fault
 */
export function readCocoFile(
  source: { layout: string; annotations: string; images: string },
  trainingFile: string | null,
): Dataset {
  const path = source.annotations;
  const content = parseCoco(path);
  const categories = classCategories(trainingFile === null ? content : parseCoco(trainingFile));
  if (categories.length === 0)
    throw new DataError(`Expected at least one category in ${trainingFile ?? path} but received none`);
  const classOf = new Map(categories.map(({ id }, i) => [id, i]));
  const byImage = groupByImage(path, content, classOf);
  const images = content.images.map((image) =>
    imageOf(path, source.images, image, byImage.get(image.id) ?? [], classOf),
  );
  const kept = images.reduce((sum, { labels, crowd }) => sum + labels.length + crowd.labels.length, 0);
  const dropped = content.annotations.length - kept;
  return {
    layout: source.layout,
    images,
    classNames: categories.map(({ name }) => name),
    categoryIds: categories.map(({ id }) => id),
    warnings: dropped > 0 ? [`${dropped} empty boxes of ${path} are left out (rfdetr data check names them)`] : [],
  };
}

/** The annotations of each image, checked. */
function groupByImage(
  path: string,
  { images, annotations }: CocoContent,
  classOf: ReadonlyMap<number, number>,
): Map<number, CocoAnnotation[]> {
  const byImage = new Map<number, CocoAnnotation[]>();
  for (const { id, file_name: name } of images) {
    if (byImage.has(id))
      throw new DataError(`Expected image ids to be unique in ${path} but ${id} appears twice (${name}): ${remedy}`);
    byImage.set(id, []);
  }
  for (const annotation of annotations) {
    const { image_id: image, category_id: category, bbox } = annotation;
    const where = `annotation ${annotation.id} of ${path}`;
    const list = byImage.get(image);
    if (list === undefined)
      throw new DataError(`Expected the id of an image for image_id in ${where} but received ${image}: ${remedy}`);
    if (!classOf.has(category)) {
      const known = [...classOf.keys()].join(", ");
      throw new DataError(
        `Expected one of the training categories ${known} for category_id in ${where} but received ${category}: ${remedy}`,
      );
    }
    if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite))
      throw new DataError(`Expected four numbers for bbox in ${where} but received ${JSON.stringify(bbox)}: ${remedy}`);
    list.push(annotation);
  }
  return byImage;
}

function imageOf(
  path: string,
  folder: string,
  { id, file_name: name, width, height }: CocoImage,
  annotations: readonly CocoAnnotation[],
  classOf: ReadonlyMap<number, number>,
): DatasetImage {
  if (!(width > 0 && height > 0))
    throw new DataError(
      `Expected positive width and height for image ${id} (${name}) of ${path} but received ${width} and ${height}`,
    );
  const collect = (crowd: boolean): Regions =>
    clipped(
      annotations.filter(({ iscrowd }) => (iscrowd === 1) === crowd),
      width,
      height,
      classOf,
    );
  return { id, file: join(folder, name), width, height, orientation: 1, ...collect(false), crowd: collect(true) };
}

/** The boxes of annotations as corners, clipped to the image; those that are empty then are left out. */
function clipped(
  annotations: readonly CocoAnnotation[],
  width: number,
  height: number,
  classOf: ReadonlyMap<number, number>,
): Regions {
  const boxes: number[] = [];
  const labels: number[] = [];
  const areas: number[] = [];
  for (const { bbox, category_id: category, area } of annotations) {
    const [x, y, w, h] = bbox;
    const box = [Math.max(0, x), Math.max(0, y), Math.min(width, x + w), Math.min(height, y + h)];
    if (box[2] <= box[0] || box[3] <= box[1]) continue;
    boxes.push(...box);
    labels.push(classOf.get(category) as number);
    areas.push(area ?? w * h);
  }
  return { boxes: Float32Array.from(boxes), labels: Int32Array.from(labels), areas: Float64Array.from(areas) };
}
