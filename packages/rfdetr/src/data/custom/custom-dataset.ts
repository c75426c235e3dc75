// Datasets that a program makes itself: their rows, checked one by one.
import { fileURLToPath } from "node:url";
import { type CocoRuns, toCocoRuns } from "../../masks/coco-runs.js";
import type { Mask } from "../../masks/mask.js";
import { DataError } from "../../support/errors.js";
import { shown } from "../../support/shown.js";
import { didYouMean } from "../../support/suggest.js";
import type { Split } from "../formats/dataset.js";
import { readSegmentation } from "../formats/segmentation.js";
import type { Size } from "../images/image-header.js";
import { channelsOf, type ImagePixels } from "../images/image-pixels.js";

/** An image of a custom dataset: the path or `file:` URL of a file, the bytes of one, or pixels. */
export type CustomImage = string | URL | Uint8Array | ArrayBuffer | ImagePixels;

/** An image with its objects, as a custom dataset gives it. */
export interface CustomRow {
  image: CustomImage;
  /** Left, top, right and bottom of each object, in pixels of the upright picture: `[n][4]`, or `[n × 4]` in one. */
  boxes: ArrayLike<ArrayLike<number>> | ArrayLike<number>;
  /** `[n]`: the class of each object, by its name or by its index in `classNames`. */
  labels: ArrayLike<string | number>;
  /** `[n]`: which boxes are regions of many objects (COCO `iscrowd`); default none. */
  crowd?: ArrayLike<boolean>;
  /**
   * `[n]`: the pixels of each object, for segmentation: a mask of the size of the upright picture (as `encodeMask`
   * makes one, or with COCO's `size` and `counts`), polygons `x, y, x, y, …` in its pixels, or null; default none.
   */
  masks?: ArrayLike<Mask | CocoRuns | ArrayLike<number>[] | null>;
  /** What messages and pictures call the image; default: the name of its file. */
  name?: string;
}

/**
 * One split of a custom dataset: rows by their index, or rows one after the other. It is read once, before training. Up
 * to eight rows are asked for at the same time, so each needs an image of its own: no buffer that the next row fills.
 * @example
 * const birds: CustomDataset = {
 *   length: 1200,
 *   get: async (index) => ({ image: `photos/${index}.jpg`, boxes: [[10, 20, 110, 90]], labels: ["heron"] }),
 * };
 */
export type CustomDataset =
  | { readonly length: number; get(index: number): CustomRow | Promise<CustomRow> }
  | AsyncIterable<CustomRow>
  | Iterable<CustomRow>;

/** The splits of a dataset that a program makes itself. */
export interface CustomData {
  train: CustomDataset;
  valid: CustomDataset;
  test?: CustomDataset;
  /** Names of the classes by their index. Without them labels must be names, which are sorted. */
  classNames?: readonly string[];
}

/** Whether a value is meant as a custom dataset rather than as the path of one. */
export function isCustomData(value: unknown): value is CustomData {
  return typeof value === "object" && value !== null && "train" in value;
}

/** A box of a row. */
export interface CheckedBox {
  /** Left, top, right, bottom in pixels. */
  corners: [left: number, top: number, right: number, bottom: number];
  label: string | number;
  crowd: boolean;
  /** Its outline as a COCO file has it; null without one. */
  segmentation: CocoRuns | number[][] | null;
}

/** A row that holds what it must. */
export interface CheckedRow {
  image: string | Uint8Array | Required<ImagePixels>;
  boxes: CheckedBox[];
  name: string | null;
}

/** Where a row is, for messages. */
export interface RowPlace {
  split: Split;
  index: number;
}

/** A row in messages: `row 17 of the train dataset`. */
export const rowName = ({ split, index }: RowPlace): string => `row ${index} of the ${split} dataset`;

/**
 * Checks the form of a row. What can only be told with the picture, such as boxes outside of it, comes later.
 * @throws DataError naming the row
 */
export function checkRow(row: unknown, place: RowPlace): CheckedRow {
  const where = rowName(place);
  if (typeof row !== "object" || row === null || Array.isArray(row))
    throw new DataError(`Expected { image, boxes, labels } for ${where} but received ${shown(row)}`);
  const { image, boxes, labels, crowd, masks, name, ...others } = row as Partial<Record<keyof CustomRow, unknown>>;
  refuseOthers(Object.keys(others), rowKeys, where);
  if (name !== undefined && (typeof name !== "string" || name === ""))
    throw new DataError(`Expected a text for the name of ${where} but received ${shown(name)}`);
  const corners = boxesOf(boxes, where);
  const classes = listOf(labels, "labels", where);
  if (classes.length !== corners.length)
    throw new DataError(`Expected as many labels as boxes, ${corners.length}, in ${where} but found ${classes.length}`);
  const crowds = crowd === undefined ? corners.map(() => false) : listOf(crowd, "crowd", where);
  if (crowds.length !== corners.length || crowds.some((value) => typeof value !== "boolean"))
    throw new DataError(`Expected true or false for each of the ${corners.length} boxes in crowd of ${where}`);
  const outlines = masks === undefined ? corners.map(() => null) : listOf(masks, "masks", where);
  if (outlines.length !== corners.length)
    throw new DataError(`Expected as many masks as boxes, ${corners.length}, in ${where} but found ${outlines.length}`);
  return {
    image: imageOf(image, where),
    boxes: corners.map((box, i) => ({
      corners: box,
      label: labelOf(classes[i], where),
      crowd: crowds[i] as boolean,
      segmentation: segmentationOf(outlines[i], `masks[${i}] of ${where}`),
    })),
    name: name ?? null,
  };
}

/** An outline as a COCO file has it. */
function segmentationOf(value: unknown, where: string): CheckedBox["segmentation"] {
  if (value === null || value === undefined) return null;
  const { height, width, counts } = value as Partial<Mask>;
  const isMask = counts instanceof Uint32Array;
  const stated = isMask
    ? { size: [height, width], counts: [...counts] }
    : Array.isArray(value)
      ? value.map((points) => (ArrayBuffer.isView(points) ? [...(points as Float64Array)] : points))
      : value;
  const { outline, fault } = readSegmentation(stated);
  if (fault !== null)
    throw new DataError(
      `Expected a mask { height, width, counts }, COCO's { size, counts }, polygons or null for ${where} but ${fault}`,
    );
  if (outline === null) return null;
  return "mask" in outline ? toCocoRuns(outline.mask) : outline.polygons.map((points) => [...points]);
}

/** @throws DataError for a mask that has another size than its picture */
export function checkMaskSizes(boxes: readonly CheckedBox[], { width, height }: Size, place: RowPlace): void {
  for (const [i, { segmentation }] of boxes.entries()) {
    if (segmentation === null || Array.isArray(segmentation)) continue;
    const { size } = segmentation;
    if (size[0] !== height || size[1] !== width)
      throw new DataError(
        `Expected a mask of ${width}×${height} pixels for masks[${i}] of ${rowName(place)} but received ${size[1]}×${size[0]}`,
      );
  }
}

const rowKeys = ["image", "boxes", "labels", "crowd", "masks", "name"] satisfies (keyof CustomRow)[];

/** @throws DataError for a key that nobody reads, which is probably a misspelt one */
export function refuseOthers(given: readonly string[], known: readonly string[], where: string): void {
  const other = given.find((key) => !known.includes(key));
  if (other !== undefined)
    throw new DataError(
      `Expected ${known.slice(0, -1).join(", ")} or ${known.at(-1)} in ${where} but received ${other}${didYouMean(other, known)}`,
    );
}

function listOf(value: unknown, what: string, where: string): unknown[] {
  if (Array.isArray(value) || (ArrayBuffer.isView(value) && "length" in value))
    return Array.from(value as ArrayLike<unknown>);
  throw new DataError(`Expected a list for ${what} of ${where} but received ${shown(value)}`);
}

function labelOf(value: unknown, where: string): string | number {
  if (typeof value === "string" || (Number.isSafeInteger(value) && (value as number) >= 0)) return value as string;
  throw new DataError(`Expected the name of a class, or its index from 0, in ${where} but received ${shown(value)}`);
}

function boxesOf(value: unknown, where: string): CheckedBox["corners"][] {
  const list = listOf(value, "boxes", where);
  const flat = ArrayBuffer.isView(value) || typeof list[0] === "number";
  if (flat && list.length % 4 !== 0)
    throw new DataError(`Expected four numbers for each box of ${where} but found ${list.length} in all`);
  const boxes = flat
    ? Array.from({ length: list.length / 4 }, (_, i) => list.slice(i * 4, i * 4 + 4))
    : list.map((box) => listOf(box, "a box", where));
  return boxes.map((box, i) => {
    if (box.length !== 4 || !box.every((side) => typeof side === "number" && Number.isFinite(side)))
      throw new DataError(
        `Expected left, top, right and bottom in pixels for box ${i} of ${where} but received ${shown(box)}`,
      );
    const [left, top, right, bottom] = box as CheckedBox["corners"];
    if (right < left || bottom < top)
      throw new DataError(
        `Expected left, top, right and bottom for box ${i} of ${where} but received ${shown(box)}, which ends before it begins: left, top, width, height must be converted`,
      );
    return [left, top, right, bottom];
  });
}

function imageOf(value: unknown, where: string): CheckedRow["image"] {
  const isUrl = typeof value === "string" && /^[a-z][a-z\d+.-]+:\/\//i.test(value) && URL.canParse(value);
  const url = isUrl ? new URL(value) : value;
  if (url instanceof URL && url.protocol === "file:" && url.host === "") return fileURLToPath(url);
  if (typeof value === "string" && value !== "" && url === value) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (value instanceof Uint8Array) return value;
  if (typeof value === "object" && value !== null && "data" in value) return pixelsOf(value, where);
  throw new DataError(
    `Expected a path, a file: URL, the bytes of an image file or pixels { data, width, height, channels } for the image of ${where} but received ${shown(value)}`,
  );
}

function pixelsOf(value: object, where: string): Required<ImagePixels> {
  const { data, width, height } = value as Record<keyof ImagePixels, unknown>;
  const channels: unknown = channelsOf(value as ImagePixels);
  const isWhole = [width, height].every((side) => Number.isSafeInteger(side) && (side as number) > 0);
  if (!isWhole || (channels !== 1 && channels !== 3 && channels !== 4))
    throw new DataError(
      `Expected pixels with a width, a height and 1, 3 or 4 channels for ${where} but received ${shown({ width, height, channels })}`,
    );
  const length = (width as number) * (height as number) * channels;
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray) || data.length !== length)
    throw new DataError(
      `Expected ${length} bytes for the ${width}×${height} pixels of ${channels} channels in ${where} but received ${
        data instanceof Uint8Array || data instanceof Uint8ClampedArray ? data.length : shown(data)
      }`,
    );
  return { data, width: width as number, height: height as number, channels };
}
