// The table of checks: what can be wrong with a split, how it is found, and what training does about it.
import type { CocoAnnotation } from "../formats/coco-file.js";
import type { ListedImage, Listing } from "./listing.js";

/**
 * `refused`: training stops and names the fault. `repaired`: it drops or corrects the entry. `kept`: it ignores the
 * fault.
 */
export type Training = "refused" | "repaired" | "kept";

/** One fault. */
export interface Fault {
  /** Path of the file at fault: the image, or the annotation file. */
  file: string;
  /** Id of the image or annotation in the annotation file; null if the fault is not of one entry. */
  id: number | null;
  /** One sentence that says what is wrong, and where. */
  message: string;
}

/** A check of a split. */
export interface Check {
  name: string;
  training: Training;
  /** The faults of this kind. The files of the split have been read: see `readFiles`. */
  find: (split: Listing) => Fault[];
}

function ofSplit(
  name: string,
  training: Training,
  test: (split: Listing) => boolean,
  sentence: (split: Listing) => string,
): Check {
  const find = (split: Listing): Fault[] =>
    test(split) ? [{ file: split.source, id: null, message: sentence(split) }] : [];
  return { name, training, find };
}

function ofImages(
  name: string,
  training: Training,
  test: (image: ListedImage, split: Listing) => boolean,
  sentence: (image: ListedImage, split: Listing) => string,
): Check {
  const find = (split: Listing): Fault[] =>
    split.images
      .filter((image) => test(image, split))
      .map((image) => ({ file: image.file, id: image.id, message: sentence(image, split) }));
  return { name, training, find };
}

function ofAnnotations(
  name: string,
  training: Training,
  test: (annotation: CocoAnnotation, split: Listing) => boolean,
  sentence: (annotation: CocoAnnotation, split: Listing) => string,
): Check {
  const find = (split: Listing): Fault[] =>
    split.annotations
      .filter((annotation) => test(annotation, split))
      .map((annotation) => ({ file: split.source, id: annotation.id, message: sentence(annotation, split) }));
  return { name, training, find };
}

/** Annotations that cannot be read at all; no other check runs then. */
export const brokenAnnotations = { name: "broken annotations", training: "refused" } as const;

export const checks: readonly Check[] = [
  ofSplit(
    "no images",
    "refused",
    ({ images }) => images.length === 0,
    ({ source, split }) => `the ${split} split of ${source} has no images`,
  ),
  ofSplit(
    "no annotations",
    "refused",
    ({ annotations }) => annotations.length === 0,
    ({ source, split }) => `the ${split} split of ${source} has no annotations`,
  ),
  ofImages(
    "duplicate image ids",
    "refused",
    (image, { imageById }) => imageById.get(image.id) !== image,
    (image, { imageById }) => `${image.name} has the id ${image.id} of ${imageById.get(image.id)?.name}`,
  ),
  ofAnnotations(
    "duplicate annotation ids",
    "kept",
    (annotation, { annotationById }) => annotationById.get(annotation.id) !== annotation,
    ({ id }) => `annotation ${id} appears more than once`,
  ),
  ofImages(
    "duplicate file names",
    "kept",
    (image, { imageByName }) => imageByName.get(image.name) !== image,
    ({ id, name }) => `image ${id} has the file of another image: ${name}`,
  ),
  ofImages(
    "missing files",
    "refused",
    ({ file }, split) => faultOf(split, file) === "missing",
    ({ file }) => `${file} does not exist`,
  ),
  ofImages(
    "undecodable images",
    "refused",
    ({ file }, split) => faultOf(split, file) === "undecodable",
    ({ file }, split) => `${file} does not decode: ${reasonOf(split, file)}`,
  ),
  ofImages(
    "images without a size",
    "refused",
    ({ width, height }) => !(width > 0 && height > 0),
    ({ name, width, height }) => `${name} is annotated with ${width}×${height} pixels`,
  ),
  ofImages(
    "wrong image sizes",
    "repaired",
    (image, split) => decodedSize(image, split) !== null,
    (image, split) =>
      `${image.name} is annotated with ${image.width}×${image.height} pixels but has ${decodedSize(image, split)}`,
  ),
  ofImages(
    "images without annotations",
    "kept",
    ({ id }, { annotated }) => !annotated.has(id),
    ({ name }) => `${name} has no annotations`,
  ),
  ofAnnotations(
    "annotations of unknown images",
    "refused",
    (annotation, { imageById }) => !imageById.has(annotation.image_id),
    ({ id, image_id: image }) => `annotation ${id} belongs to image ${image}, which is not listed`,
  ),
  ofAnnotations(
    "unknown categories",
    "refused",
    (annotation, { categories }) => !categories.has(annotation.category_id),
    ({ id, category_id: category }) => `annotation ${id} has the category ${category}, which training does not know`,
  ),
  ofAnnotations(
    "malformed boxes",
    "refused",
    boxIs("malformed"),
    (annotation) => `the box of annotation ${annotation.id} is not four numbers: ${boxText(annotation)}`,
  ),
  ofAnnotations(
    "empty boxes",
    "repaired",
    boxIs("empty"),
    (annotation, split) =>
      `the box of annotation ${annotation.id} in ${imageName(annotation, split)} is empty: ${boxText(annotation)}`,
  ),
  ofAnnotations(
    "boxes outside the image",
    "repaired",
    boxIs("outside"),
    (annotation, split) =>
      `the box of annotation ${annotation.id} leaves ${imageName(annotation, split)}: ${boxText(annotation)}`,
  ),
];

/**
 * What is wrong with a box in an image of this size in pixels, or null. Up to half a pixel outside the image is taken
 * for a rounding error.
 */
export function boxFault(
  { bbox }: CocoAnnotation,
  { width, height }: { width: number; height: number },
): "malformed" | "empty" | "outside" | null {
  if (!Array.isArray(bbox) || bbox.length !== 4 || !bbox.every(Number.isFinite)) return "malformed";
  const [x, y, w, h] = bbox;
  if (w <= 0 || h <= 0) return "empty";
  return x < -0.5 || y < -0.5 || x + w > width + 0.5 || y + h > height + 0.5 ? "outside" : null;
}

/** Annotations of unknown images have a check of their own. */
function boxIs(fault: ReturnType<typeof boxFault>): (annotation: CocoAnnotation, split: Listing) => boolean {
  return (annotation, { imageById }) => {
    const image = imageById.get(annotation.image_id);
    return image !== undefined && boxFault(annotation, image) === fault;
  };
}

const boxText = ({ bbox }: CocoAnnotation): string => JSON.stringify(bbox) ?? "nothing";
const imageName = ({ image_id: id }: CocoAnnotation, { imageById }: Listing): string => imageById.get(id)?.name ?? "";

function faultOf({ files }: Listing, file: string): "missing" | "undecodable" | null {
  const state = files.get(file);
  return state !== undefined && "fault" in state ? state.fault : null;
}

function reasonOf({ files }: Listing, file: string): string {
  const state = files.get(file);
  return state !== undefined && "fault" in state ? state.reason : "";
}

/** The size of the decoded image, such as `640×480`, where the annotations state another one. */
function decodedSize({ file, width, height }: ListedImage, { files }: Listing): string | null {
  const state = files.get(file);
  if (state === undefined || "fault" in state || (state.width === width && state.height === height)) return null;
  return `${state.width}×${state.height}`;
}
