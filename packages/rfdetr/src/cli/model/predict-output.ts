// The files that `rfdetr predict` writes: pictures with boxes, and results.
import { basename, dirname, extname, join, relative } from "node:path";
import { cropDetections } from "../../pictures/drawing/crop.js";
import { drawDetections } from "../../pictures/drawing/draw.js";
import type { ImageSource } from "../../pictures/picture.js";
import { isLocal } from "../../predict/inputs/address.js";
import { labelNames, pictureNames } from "../../predict/outputs/output-names.js";
import { OutputFolder } from "../../predict/outputs/outputs.js";
import {
  type CocoIds,
  classList,
  cocoResults,
  csvResults,
  type FileError,
  type FilePrediction,
  jsonResults,
  type resultFormats,
  yoloLabels,
} from "../../predict/outputs/result-formats.js";
import { longestName, shortName } from "../../support/files/short-name.js";
import { append } from "../../support/lists.js";

type Format = (typeof resultFormats)[number];

/** Takes the results one by one. */
export interface PredictOutput {
  /** Folder that files are written to; null if there is none. */
  readonly path: string | null;
  /**
   * Writes the picture, the crops and the labels of an image.
   * @param picture its file or its bytes
   * @param classNames of the model, which choose the colours
   * @throws RunDirectoryError if they cannot be written
   */
  add(image: FilePrediction, picture: ImageSource, classNames: readonly string[]): Promise<void>;
  /** Gives the folder free, and removes it if it was made for this and is empty, after a failure. */
  giveUp(): void;
  /** Writes the file of all results, if there is a folder and an image was read. @returns its text */
  finish(images: readonly FilePrediction[], errors: readonly FileError[], classNames: readonly string[]): string;
}

/**
 * Plans what is written.
 * @throws RunDirectoryError before anything is written, if a name is in use in the folder
 */
export function openPredictOutput(
  files: readonly string[],
  options: {
    out: string | null;
    draw: boolean;
    crops: boolean;
    format: Format | null;
    autoOrient: boolean;
    ids?: CocoIds;
  },
): PredictOutput {
  const { out, draw, crops, format, autoOrient, ids } = options;
  const pictures = pictureNames(files);
  const labels = labelNames(files);
  const names: string[] = [];
  if (draw) append(names, pictures);
  if (crops) names.push("crops/");
  if (format === "yolo") append(names, ["classes.txt", ...labels]);
  else if (format !== null && out !== null) names.push(resultsFile(format));
  const folder = names.length === 0 ? null : OutputFolder.open(out, names, files.filter(isLocal));
  const places = new Map(files.map((file, i) => [file, i]));
  return {
    get path() {
      return folder?.path ?? null;
    },
    async add(image, picture, classNames) {
      const place = places.get(image.file) as number;
      const name = pictures[place];
      if (draw) {
        const settings = { format: formatOf(name), autoOrient, classNames };
        folder?.write(name, await drawDetections(picture, image.detections, settings));
      }
      if (crops)
        for (const [i, crop] of (await cropDetections(picture, image.detections, { autoOrient })).entries())
          folder?.write(cropName(cropFolder(image.detections[i].className, classNames), labels[place], i), crop);
      if (format === "yolo") folder?.write(labels[place], yoloLabels(image));
    },
    giveUp: () => folder?.close(),
    finish(images, errors, classNames) {
      const text = resultsText(format, images, errors, ids);
      if (images.length > 0 || errors.length === 0) {
        if (format === "yolo") folder?.write("classes.txt", classList(classNames, images));
        else if (format !== null && out !== null) folder?.write(resultsFile(format), text);
        if (crops) folder?.removeLeft("crops");
      }
      folder?.close();
      return text;
    },
  };
}

/** The folder for the crops of a class, which no other class has. */
function cropFolder(className: string, classNames: readonly string[]): string {
  const writable = (name: string): string =>
    shortName(name.replace(/[\p{Cc}\\/:*?"<>|]/gu, "_").replace(/^\.+$/, "_")) || "_";
  const folder = writable(className);
  const before = classNames.slice(0, Math.max(0, classNames.indexOf(className))).filter((n) => writable(n) === folder);
  return before.length === 0 ? folder : `${folder}-${before.length + 1}`;
}

/** Where the crop of a detection goes. The name of the label file is one that no other image has. */
function cropName(folder: string, label: string, i: number): string {
  const stem = relative("labels", label).slice(0, -".txt".length);
  return join("crops", folder, dirname(stem), `${shortName(basename(stem), longestName - 12)}-${i + 1}.jpg`);
}

const resultsFile = (format: Format): string => (format === "csv" ? "predictions.csv" : "predictions.json");

function resultsText(
  format: Format | null,
  images: readonly FilePrediction[],
  errors: readonly FileError[],
  ids?: CocoIds,
): string {
  if (format === "csv") return csvResults(images);
  if (format === "coco") return `${JSON.stringify(cocoResults(images, ids))}\n`;
  return format === "json" ? `${JSON.stringify(jsonResults(images, errors))}\n` : "";
}

/** The format that the name of a picture asks for. */
function formatOf(name: string): "png" | "jpeg" | "webp" {
  const extension = extname(name).toLowerCase();
  return extension === ".png" ? "png" : extension === ".webp" ? "webp" : "jpeg";
}
