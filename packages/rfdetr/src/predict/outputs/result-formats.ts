// Predictions as the text of files that other tools read.
import { basename, extname, relative, sep } from "node:path";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { joinPolygons, maskPolygons } from "../../masks/contours.js";
import { maskArea } from "../../masks/mask.js";
import type { Detection } from "../../model/types.js";
import type { BestBelow } from "../../onnx/detections.js";
import { counted } from "../../support/format.js";
import { fileNameOfImage, isLocal } from "../inputs/address.js";
import type { ImagePrediction } from "../types.js";
import { labelNames, namesBelow } from "./output-names.js";

/** Names of the formats. */
export const resultFormats = ["json", "coco", "yolo", "csv"] as const;

/** What was found in a file. */
export interface FilePrediction extends ImagePrediction {
  file: string;
}

/** What an annotation file calls images and categories, as it stands there: pycocotools takes "1" and 1 for two. */
export interface CocoIds {
  /** @param file as it was given to `predict` */
  imageOf(file: string): number | string;
  /** Null where it has no category of this name. */
  categoryOf(className: string): number | string | null;
}

/** Why a file has no results. */
export interface FileError {
  file: string;
  message: string;
}

/**
 * The object that `rfdetr predict --json` prints. It has `errors` only if there are some; an image has `best_below`
 * only if it has no detections.
 */
export function jsonResults(images: readonly FilePrediction[], errors: readonly FileError[]): object {
  return {
    images: images.map(({ file, width, height, detections, bestBelow }) => ({
      file,
      width,
      height,
      detections: detections.map(jsonDetection),
      ...jsonBelow(bestBelow),
    })),
    ...(errors.length === 0 ? {} : { errors }),
  };
}

const jsonDetection = ({ box, score, classId, className, mask }: Detection): object => ({
  box,
  score,
  class_id: classId,
  class_name: className,
  ...(mask === undefined ? {} : { mask: toCocoRuns(mask) }),
});

/** What was nearest to a detection where there is none. */
function jsonBelow(best: BestBelow | undefined): object {
  if (best === undefined) return {};
  const { score, classId, className, threshold } = best;
  return { best_below: { score, class_id: classId, class_name: className, threshold } };
}

/** A line about a frame of a video. Detections that were followed have the number of their track, or null. */
export function frameResult(result: {
  file: string;
  frame: { frame: number; seconds: number | null; width: number; height: number };
  detections: readonly (Detection & { trackId?: number | null })[];
  bestBelow?: BestBelow;
}): object {
  const { frame, seconds, width, height } = result.frame;
  const detections = result.detections.map(({ trackId, ...detection }) => ({
    ...jsonDetection(detection),
    ...(trackId === undefined ? {} : { track_id: trackId }),
  }));
  return { file: result.file, frame, seconds, width, height, detections, ...jsonBelow(result.bestBelow) };
}

/**
 * A COCO results file, with boxes as left, top, width, height in pixels. The id of an image is its file name without
 * the extension, as a number where it is one. Images that would share an id have their path below the folder that all
 * share. The id of a category is the class id. An annotation file may number both in another way: `file_name`, the path
 * below that folder, and `category_name` tell which are meant. Masks are runs, and the area is theirs.
 * @param known ids of an annotation file, in place of these; classes that it lacks have no results
 */
export function cocoResults(images: readonly FilePrediction[], known?: CocoIds): object[] {
  const files = images.map(({ file }) => file);
  const ids = known === undefined ? imageIds(files) : files.map((file) => known.imageOf(file));
  const names = namesBelow(files).map((name) => name.replaceAll(sep, "/"));
  const categoryOf = ({ classId, className }: Detection): number | string | null =>
    known === undefined ? classId : known.categoryOf(className);
  const placed = ({ detections }: FilePrediction) =>
    detections.flatMap((detection) => {
      const category = categoryOf(detection);
      return category === null ? [] : [{ ...detection, category }];
    });
  return images.flatMap((image, i) =>
    placed(image).map(({ box: [x1, y1, x2, y2], score, category, className, mask }) => ({
      image_id: ids[i],
      category_id: category,
      bbox: [x1, y1, x2 - x1, y2 - y1],
      score,
      file_name: names[i],
      category_name: className,
      ...(mask === undefined ? {} : { segmentation: toCocoRuns(mask), area: maskArea(mask) }),
    })),
  );
}

function imageIds(files: readonly string[]): (number | string)[] {
  const stems = files.map((given) => {
    const file = isLocal(given) ? given : fileNameOfImage(given);
    const stem = basename(file, extname(file));
    return /^\d{1,15}$/.test(stem) ? Number(stem) : stem;
  });
  const count = new Map<number | string, number>();
  for (const stem of stems) count.set(stem, (count.get(stem) ?? 0) + 1);
  const paths = labelNames(files).map((name) => relative("labels", name).slice(0, -".txt".length));
  return stems.map((stem, i) => (count.get(stem) === 1 ? stem : paths[i].replaceAll(sep, "/")));
}

/** A table with a row for each detection, with commas (RFC 4180). */
export function csvResults(images: readonly FilePrediction[]): string {
  const rows = images.flatMap(({ file, width, height, detections }) =>
    detections.map(({ box, score, classId, className }) => [file, width, height, classId, className, score, ...box]),
  );
  const header = ["file", "width", "height", "class_id", "class_name", "score", "x1", "y1", "x2", "y2"];
  return `${[header, ...rows].map((row) => row.map(cell).join(",")).join("\n")}\n`;
}

function cell(value: string | number): string {
  // A terminal would obey the control characters of a name.
  const text = String(value).replace(
    /[^\P{Cc}\n\r\t]/gu,
    (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`,
  );
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/**
 * A YOLO label file: class, centre x, centre y, width and height as fractions of the image. A detection with a mask has
 * the corners of its polygon in place of the box; parts and holes are joined by paths without area, so that a line is
 * an object. An empty mask has no polygon: its line has the box.
 */
export function yoloLabels({ width, height, detections }: ImagePrediction): string {
  const lines = detections.map(({ box: [x1, y1, x2, y2], classId, mask }) => {
    const polygons = mask === undefined ? [] : maskPolygons(mask);
    const fractions =
      polygons.length === 0
        ? [(x1 + x2) / 2 / width, (y1 + y2) / 2 / height, (x2 - x1) / width, (y2 - y1) / height]
        : Array.from(joinPolygons(polygons), (value, i) => value / (i % 2 === 0 ? width : height));
    return `${[classId, ...fractions.map((value) => Number(value.toFixed(6)))].join(" ")}\n`;
  });
  return lines.join("");
}

/** What a format cannot hold of masks, in a sentence; null if nothing is lost. */
export function lostMasks(format: string | null, images: readonly ImagePrediction[]): string | null {
  const masks = images.flatMap(({ detections }) => detections.flatMap(({ mask }) => mask ?? []));
  if (masks.length === 0) return null;
  if (format === "csv") return "csv has no place for masks: json, coco and yolo have them";
  const empty = masks.filter((mask) => maskArea(mask) === 0).length;
  return format === "yolo" && empty > 0
    ? `yolo has no place for an empty mask: the box stands for ${counted(empty, "detection")}`
    : null;
}

/** Names of classes by id, a line each. Classes that were found without being among the names are added. */
export function classList(classNames: readonly string[], images: readonly FilePrediction[]): string {
  const names = [...classNames];
  for (const { classId, className } of images.flatMap(({ detections }) => detections)) {
    for (let id = names.length; id <= classId; id++) names.push(`class ${id}`);
    names[classId] = className;
  }
  return names.map((name) => `${name.replace(/[\r\n]/g, " ")}\n`).join("");
}

/** Most detections that a line shows. */
const shown = 8;

/** What was found, in one line for people: class, score and box in whole pixels. */
export function inOneLine(detections: readonly Detection[]): string {
  if (detections.length === 0) return "nothing";
  const parts = detections
    .slice(0, shown)
    .map(
      ({ className, score, box }) =>
        `${className.replace(/\s/gu, " ")} ${score.toFixed(2)} [${box.map(Math.round).join(" ")}]`,
    );
  const more = detections.length - parts.length;
  return parts.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
