// Writes a dataset that a program makes itself as a folder in COCO layout. Functions cannot be sent to the threads and
// processes of a run; a folder can, is the same in every epoch, and is still there when the run is continued.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { DataError } from "../../support/errors.js";
import { makeFolder, writeFailure } from "../../support/files/atomic.js";
import { discard, scratchPath } from "../../support/files/scratch.js";
import { shortName } from "../../support/files/short-name.js";
import { reasonOf } from "../../support/files/system-error.js";
import { abortSignal, callback, checkOptions, flag, type OptionKinds } from "../../support/options.js";
import { shown } from "../../support/shown.js";
import { findingsOf } from "../check/findings.js";
import type { Split } from "../formats/dataset.js";
import { splits } from "../formats/layout.js";
import { listDataset } from "../formats/list-dataset.js";
import { ByteSource } from "../images/byte-source.js";
import { headerOf } from "../images/decode.js";
import { parseImageHeader, uprightSize } from "../images/image-header.js";
import { imageExtensions } from "../images/image-kinds.js";
import { sharp } from "../images/sharp.js";
import { cocoArea } from "../write/coco-content.js";
import { putFile, refuseExisting } from "../write/write-dataset.js";
import {
  type CheckedRow,
  type CustomData,
  type CustomDataset,
  type CustomRow,
  checkMaskSizes,
  checkRow,
  isCustomData,
  type RowPlace,
  refuseOthers,
  rowName,
} from "./custom-dataset.js";

/** How a custom dataset is gathered. */
export interface GatherOptions {
  /** Whether boxes refer to pictures that are turned as their EXIF tag says (default true). */
  autoOrient?: boolean;
  /** Called after each row with their number so far, and in all where the dataset tells. */
  onProgress?: (split: Split, done: number, total: number | null) => void;
  signal?: AbortSignal;
}

const gatherOptions: OptionKinds<GatherOptions> = { autoOrient: flag, onProgress: callback, signal: abortSignal };

/** What was gathered. */
export interface GatheredData {
  /** Absolute path of the folder. */
  folder: string;
  /** Rows of each split. */
  images: Partial<Record<Split, number>>;
}

/** Rows that are asked for at the same time, since each may wait for a network. */
const atOnce = 8;

/**
 * Reads each row of a custom dataset once, checks it, and writes a folder that trains as any other: image files are
 * linked, bytes are written as they are, pixels become PNG files.
 * @param folder a new one
 * @throws DataError naming the row at fault; what is wrong with the whole, as `data check` finds it
 * @throws RunDirectoryError if the folder cannot be written; nothing is left of it then
 * @example
 * import { gatherDataset } from "rfdetr/data";
 * const row = { image: "a.jpg", boxes: [[10, 20, 110, 90]], labels: ["heron"] };
 * const { folder } = await gatherDataset({ train: [row], valid: [row] }, "gathered/");
 */
export async function gatherDataset(
  data: CustomData,
  folder: string,
  options: GatherOptions = {},
): Promise<GatheredData> {
  checkOptions("gatherDataset", options, gatherOptions);
  refuseExisting(folder);
  const { temporary, images } = await gather(data, dirname(resolve(folder)), options);
  return { folder: settle(temporary, resolve(folder)), images };
}

/**
 * As {@link gatherDataset}, into a folder of this one that is named after what it holds: the same data are there once.
 */
export async function gatherInto(parent: string, data: CustomData, options: GatherOptions = {}): Promise<GatheredData> {
  const { temporary, images, sha256 } = await gather(data, resolve(parent), options);
  for (let n = 1; ; n++) {
    const name = `gathered-${sha256.slice(0, 12)}${n === 1 ? "" : `-${n}`}`;
    const folder = join(resolve(parent), name);
    if (!existsSync(folder)) return { folder: settle(temporary, folder), images };
    if (!holdsTheSame(folder, temporary)) continue;
    discard(temporary);
    return { folder, images };
  }
}

/** Gives a folder its name. Another process may have been as fast, with the same data. */
function settle(temporary: string, folder: string): string {
  try {
    renameSync(temporary, folder);
  } catch (error) {
    const same = existsSync(folder) && holdsTheSame(folder, temporary);
    discard(temporary);
    if (!same) throw writeFailure(folder, error);
  }
  return folder;
}

const annotationFile = (folder: string, split: Split): string => join(folder, split, "_annotations.coco.json");

function holdsTheSame(folder: string, other: string): boolean {
  return splits.every((split) => {
    const [a, b] = [folder, other].map((each) => annotationFile(each, split));
    return existsSync(a) === existsSync(b) && (!existsSync(a) || readFileSync(a).equals(readFileSync(b)));
  });
}

async function gather(
  data: CustomData,
  parent: string,
  options: GatherOptions,
): Promise<{ temporary: string; images: GatheredData["images"]; sha256: string }> {
  const given = splitsOf(data);
  makeFolder(parent);
  const temporary = scratchPath(join(parent, "gathered"));
  try {
    mkdirSync(temporary);
    const hash = createHash("sha256");
    const read: [Split, StoredRow[]][] = [];
    for (const [split, dataset] of given) {
      mkdirSync(join(temporary, split));
      read.push([split, await storeRows(dataset, { split, folder: join(temporary, split), hash }, options)]);
    }
    const classNames = classesOf(data.classNames, read);
    for (const [split, rows] of read) {
      const content = JSON.stringify(cocoOf(rows, classNames, split));
      hash.update(content);
      writeFileSync(annotationFile(temporary, split), content);
    }
    refuse(temporary, read, options.autoOrient ?? true);
    const images = Object.fromEntries(read.map(([split, rows]) => [split, rows.length]));
    return { temporary, images, sha256: hash.digest("hex") };
  } catch (error) {
    discard(temporary);
    throw writeFailure(join(parent, "gathered"), error);
  }
}

function splitsOf(data: CustomData): [Split, CustomDataset][] {
  if (!isCustomData(data))
    throw new DataError(`Expected { train, valid } as a custom dataset but received ${shown(data)}`);
  refuseOthers(Object.keys(data), [...splits, "classNames"], "a custom dataset");
  return splits.flatMap((split): [Split, CustomDataset][] => {
    const dataset: unknown = data[split];
    if (dataset === undefined && split === "test") return [];
    const isObject = typeof dataset === "object" && dataset !== null;
    const isRandom = isObject && "get" in dataset && "length" in dataset;
    if (isRandom || (isObject && (Symbol.iterator in dataset || Symbol.asyncIterator in dataset)))
      return [[split, dataset as CustomDataset]];
    throw new DataError(
      `Expected length and get(index), or an iterable, for the ${split} dataset but received ${shown(dataset)}`,
    );
  });
}

/** A row whose image is a file of the folder. */
interface StoredRow extends Pick<CheckedRow, "boxes"> {
  file: string;
  width: number;
  height: number;
}

interface Store {
  split: Split;
  folder: string;
  /** Takes what the images are. */
  hash: ReturnType<typeof createHash>;
}

async function storeRows(dataset: CustomDataset, store: Store, options: GatherOptions): Promise<StoredRow[]> {
  const { autoOrient = true, onProgress, signal } = options;
  const total = "get" in dataset ? dataset.length : null;
  const stored: StoredRow[] = [];
  for await (const row of untilAborted(rowsOf(dataset, store.split), signal)) {
    const place = { split: store.split, index: stored.length };
    stored.push(await storeRow(checkRow(row, place), place, store, autoOrient));
    onProgress?.(store.split, stored.length, total);
  }
  if (stored.length === 0) throw new DataError(`Expected rows in the ${store.split} dataset but it has none`);
  return stored;
}

/** A row may never come: who stops does not wait for it. @throws the reason of the signal */
async function* untilAborted(rows: AsyncGenerator<unknown>, signal?: AbortSignal): AsyncGenerator<unknown> {
  let abort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason);
  });
  aborted.catch(() => {});
  signal?.addEventListener("abort", abort);
  try {
    for (;;) {
      signal?.throwIfAborted();
      const next = await Promise.race([rows.next(), aborted]);
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal?.removeEventListener("abort", abort);
    // It ends at once, or when the row comes for which nobody waits.
    rows.return(undefined).catch(() => {});
  }
}

async function* rowsOf(dataset: CustomDataset, split: Split): AsyncGenerator<unknown> {
  if (!("get" in dataset)) {
    let index = 0;
    try {
      for await (const row of dataset) {
        yield row;
        index++;
      }
    } catch (error) {
      throw ownFailure(error, { split, index });
    }
    return;
  }
  const { length } = dataset;
  if (!Number.isSafeInteger(length) || length < 0)
    throw new DataError(`Expected the number of rows as the length of the ${split} dataset but it is ${shown(length)}`);
  const get = async (index: number): Promise<CustomRow> => {
    try {
      return await dataset.get(index);
    } catch (error) {
      throw ownFailure(error, { split, index });
    }
  };
  for (let from = 0; from < length; from += atOnce) {
    const indices = Array.from({ length: Math.min(atOnce, length - from) }, (_, i) => from + i);
    yield* await Promise.all(indices.map(get));
  }
}

/** What the program's own code threw. */
function ownFailure(error: unknown, place: RowPlace): DataError {
  return new DataError(`Expected ${rowName(place)} but making it failed: ${reasonOf(error)}`, { cause: error });
}

/** Bytes of a row's name in that of its file: copies of the dataset and pictures of it add to the name. */
const longest = 200;
const extensions = { JPEG: ".jpg", PNG: ".png", WebP: ".webp", BMP: ".bmp", TIFF: ".tif", GIF: ".gif", AVIF: ".avif" };

async function storeRow(row: CheckedRow, place: RowPlace, store: Store, autoOrient: boolean): Promise<StoredRow> {
  const { image, boxes } = row;
  const isFile = typeof image === "string";
  const bytes = isFile || image instanceof Uint8Array ? image : await pngOf(image);
  const header = inRow(place, () =>
    typeof bytes === "string" ? headerOf(bytes, bytes) : parseImageHeader(new ByteSource(bytes), rowName(place)),
  );
  const called = basename(row.name ?? (isFile ? image : "image")).replaceAll(/[^\p{L}\p{N}._ -]/gu, "_");
  const known = imageExtensions.has(extname(called).toLowerCase());
  const extension = known ? extname(called) : extensions[header.format];
  const stem = known ? called.slice(0, -extension.length) : called;
  // The index tells the row in every message about the file.
  const file = `${place.index}-${shortName(stem, longest)}${extension}`;
  if (typeof bytes === "string") putFile(bytes, store.folder, file);
  else writeFileSync(join(store.folder, file), bytes);
  store.hash.update(typeof bytes === "string" ? `${resolve(bytes)}\0` : bytes);
  const { width, height } = autoOrient ? uprightSize(header) : header;
  checkMaskSizes(boxes, { width, height }, place);
  return { file, width, height, boxes };
}

async function pngOf({ data, width, height, channels }: Exclude<CheckedRow["image"], string | Uint8Array>) {
  const { buffer, byteOffset, byteLength } = data;
  const bytes = new Uint8Array(buffer, byteOffset, byteLength);
  // The pixels are read in every epoch and written once: little compression saves most of the bytes.
  return sharp(bytes, { raw: { width, height, channels } }).png({ compressionLevel: 1 }).toBuffer();
}

/** Names the row in what is wrong with its image. */
function inRow<T>(place: RowPlace, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof DataError) || error.message.includes(rowName(place))) throw error;
    throw new DataError(`${error.message} (${rowName(place)})`, { cause: error });
  }
}

/** @throws DataError for labels that are no classes */
function classesOf(given: readonly string[] | undefined, read: readonly [Split, StoredRow[]][]): string[] {
  if (given !== undefined) {
    if (!Array.isArray(given) || !given.every((name) => typeof name === "string"))
      throw new DataError(`Expected a list of texts as classNames of a custom dataset but received ${shown(given)}`);
    const twice = given.find((name, i) => given.indexOf(name) !== i);
    if (twice !== undefined) throw new DataError(`Expected different classNames but ${twice} is there twice`);
    return [...given];
  }
  const names = new Set<string>();
  for (const [split, rows] of read)
    for (const [index, { boxes }] of rows.entries())
      for (const { label } of boxes) {
        if (typeof label === "number")
          throw new DataError(
            `Expected names of classes as labels, since there are no classNames, but ${rowName({ split, index })} has ${label}`,
            { hint: "Give `classNames`, a name for each index" },
          );
        if (split === "train") names.add(label);
      }
  return [...names].sort();
}

/** The content of an annotation file. */
function cocoOf(rows: readonly StoredRow[], classNames: readonly string[], split: Split): object {
  const indexOf = new Map(classNames.map((name, i) => [name, i]));
  const labelOf = (label: string | number, index: number): number => {
    const found = typeof label === "number" ? label : (indexOf.get(label) ?? -1);
    if (found >= 0 && found < classNames.length) return found;
    throw new DataError(
      `Expected one of the classes ${shown(classNames)} in ${rowName({ split, index })} but found ${shown(label)}`,
    );
  };
  const annotations: object[] = [];
  rows.forEach(({ boxes, ...size }, row) => {
    for (const { corners, label, crowd, segmentation } of boxes) {
      const [left, top, right, bottom] = corners;
      const bbox = [left, top, right - left, bottom - top] as const;
      const category_id = labelOf(label, row);
      annotations.push({
        // From 1: pycocotools counts a detection as false where it matches the annotation with id 0.
        id: annotations.length + 1,
        image_id: row,
        category_id,
        bbox,
        area: cocoArea(bbox, segmentation, size),
        iscrowd: crowd ? 1 : 0,
        ...(segmentation === null ? {} : { segmentation }),
      });
    }
  });
  return {
    images: rows.map(({ file, width, height }, id) => ({ id, file_name: file, width, height })),
    annotations,
    categories: classNames.map((name, id) => ({ id, name, supercategory: "none" })),
  };
}

/** @throws DataError for a fault for which training would refuse the folder */
function refuse(folder: string, read: readonly [Split, StoredRow[]][], autoOrient: boolean): void {
  const listing = listDataset(folder, { splits: read.map(([split]) => split), autoOrient });
  for (const [split] of read) {
    const fault = findingsOf(listing, split).find(({ training }) => training === "refused");
    if (fault === undefined) continue;
    const message = fault.message
      .replaceAll(join(folder, split), `the ${split} dataset`)
      .replaceAll(folder, "the data");
    throw new DataError(`The ${split} dataset cannot be used: ${message}`);
  }
}
