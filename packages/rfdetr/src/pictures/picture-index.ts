// `pictures.json`: what pictures a folder has, for the report, the live page and other programs.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { RfdetrError, RunDirectoryError } from "../support/errors.js";
import { replaceText } from "../support/files/atomic.js";
import { readJson } from "../support/files/json.js";
import { schemaFault } from "../support/files/schema-fault.js";
import { counted } from "../support/format.js";
import { shown } from "../support/shown.js";

/** What a picture shows, in the order in which pictures are listed. */
export const pictureKinds = [
  "results",
  "validation",
  "worst",
  "precision-recall",
  "f1",
  "confusion",
  "confusion-normalised",
  "train-batch",
  "labels",
  "data",
] as const;
/** See {@link pictureKinds}. */
export type PictureKind = (typeof pictureKinds)[number];

/** A picture of a folder. */
export interface PictureEntry {
  /** Name of the file in the folder, of letters, digits and hyphens, with its extension. */
  file: string;
  kind: PictureKind;
  /** A few words, for a heading. */
  title: string;
  /** What the picture shows, in sentences, for those who cannot see it. */
  alt: string;
  /** Pixels, also height; of an SVG, its natural size. */
  width: number;
  height: number;
  /** The epoch whose evaluation it shows, counted from 1; absent for others. */
  epoch?: number;
}

/** Name of the index in its folder. */
export const indexName = "pictures.json";

const entrySchema = z.object({
  file: z.string().regex(/^[a-z0-9][a-z0-9-]*\.(?:jpg|png|svg)$/),
  kind: z.enum(pictureKinds),
  title: z.string(),
  alt: z.string(),
  width: z.number().positive(),
  height: z.number().positive(),
  epoch: z.number().int().positive().optional(),
}) satisfies z.ZodType<PictureEntry>;

/**
 * The pictures of a folder, in the order in which they are shown. Entries that are damaged, and those whose file is not
 * there, are left out. No entry leads out of the folder.
 * @param folder that of the pictures: `pictures` in the folder of a run
 * @returns nothing for a folder without an index, or with one that is no list
 */
export function readPictures(folder: string): PictureEntry[] {
  if (!existsSync(join(folder, indexName))) return [];
  try {
    return readIndex(folder).pictures;
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    return [];
  }
}

/**
 * The same of a folder that has an index.
 * @returns the pictures, and what is damaged in the index, in words; null where nothing is
 * @throws RunDirectoryError for an index that is no list
 */
export function readIndex(folder: string): { pictures: PictureEntry[]; fault: string | null } {
  const list: unknown = readJson(
    join(folder, indexName),
    (message, cause) => new RunDirectoryError(message, { cause }),
  );
  if (!Array.isArray(list))
    throw new RunDirectoryError(`Expected a list of pictures in ${indexName} but received ${shown(list)}`);
  const faults = list.map((entry) => schemaFault(entrySchema, entry));
  const damaged = faults.filter((fault) => fault !== null);
  return {
    pictures: list.filter((entry, i) => faults[i] === null && existsSync(join(folder, entry.file))),
    fault:
      damaged.length === 0
        ? null
        : `${counted(damaged.length, "entry is", "entries are")} damaged and left out: ${damaged[0]} of entry ${faults.indexOf(damaged[0]) + 1}`,
  };
}

/**
 * Adds pictures that were written into a folder to its index. They take the places of those with the same names.
 * @throws RunDirectoryError if the index cannot be written
 */
export function listPictures(folder: string, added: readonly PictureEntry[]): void {
  const names = new Set(added.map(({ file }) => file));
  write(folder, [...readPictures(folder).filter(({ file }) => !names.has(file)), ...added]);
}

/**
 * Takes pictures out of the index of a folder; their files stay.
 * @returns the names of the files
 * @throws RunDirectoryError if the index cannot be written
 */
export function dropPictures(folder: string, unwanted: (entry: PictureEntry) => boolean): string[] {
  const entries = readPictures(folder);
  const dropped = entries.filter(unwanted);
  if (dropped.length > 0)
    write(
      folder,
      entries.filter((entry) => !dropped.includes(entry)),
    );
  return dropped.map(({ file }) => file);
}

function write(folder: string, entries: PictureEntry[]): void {
  const place = ({ kind }: PictureEntry): number => pictureKinds.indexOf(kind);
  const order = (a: PictureEntry, b: PictureEntry): number =>
    place(a) - place(b) || a.file.localeCompare(b.file, "en", { numeric: true });
  replaceText(join(folder, indexName), `${JSON.stringify(entries.toSorted(order), null, 2)}\n`);
}
