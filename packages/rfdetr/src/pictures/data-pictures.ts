// The pictures of a dataset: what `rfdetr data stats` draws.
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { type DuplicateGroup, findDuplicates } from "../data/check/duplicates.js";
import { splitBoxes } from "../data/split-boxes.js";
import type { ReadSplits } from "../data/stats.js";
import {
  boxPositionFigure,
  boxShapeFigure,
  boxSizeFigure,
  classCountFigure,
  labelsFigure,
} from "../eval/figures/data-figures.js";
import { RunDirectoryError } from "../support/errors.js";
import { isPartial } from "../support/files/atomic.js";
import type { LabelledBox } from "./drawing/box-overlay.js";
import { fontWarning } from "./drawing/lettering.js";
import { PictureFolder } from "./picture-folder.js";
import { indexName, listPictures, type PictureEntry } from "./picture-index.js";
import { type SheetTile, sheet } from "./sheet.js";

/** Sheets of pictures that are in several splits, and such pictures on each. */
const [sheets, picturesOfSheet] = [6, 4];

/** What was drawn and found. */
export interface DataPictures {
  pictures: readonly PictureEntry[];
  /** Pictures that are in several splits, exactly or nearly. */
  duplicates: DuplicateGroup[];
  /** That some class names cannot be drawn on this machine; null where all can. */
  warning: string | null;
}

/**
 * Draws a dataset into a folder: an overview, boxes by class, their sizes, positions and shapes, and pictures that are
 * in several splits side by side.
 * @param folder new, empty, or of an earlier call
 * @throws RunDirectoryError before anything is drawn, if the folder has other files, and if it cannot be written
 */
export async function writeDataPictures(
  folder: string,
  { splits, classNames }: ReadSplits,
  { onProgress }: { onProgress?: (done: number, total: number) => void } = {},
): Promise<DataPictures> {
  mustBeOwn(folder);
  const columns = splits.map(({ split, images }) => splitBoxes(split, images, classNames.length));
  const pictures = new PictureFolder(folder);
  // First, so that a folder in which it was stopped is known as its own.
  listPictures(folder, []);
  await pictures.figure("labels.jpg", "labels", labelsFigure(columns, classNames));
  await pictures.figure("classes.svg", "data", classCountFigure(columns, classNames));
  await pictures.figure("box-sizes.svg", "data", boxSizeFigure(columns));
  await pictures.figure("box-positions.svg", "data", boxPositionFigure(columns));
  await pictures.figure("box-shapes.svg", "data", boxShapeFigure(columns));
  const files = splits.flatMap(({ split, images }) => images.map(({ file }) => ({ file, split })));
  const duplicates = (await findDuplicates(files, { onProgress })).filter(({ across }) => across);
  for (let n = 1; n <= sheets && (n - 1) * picturesOfSheet < duplicates.length; n++) {
    const shown = duplicates.slice((n - 1) * picturesOfSheet, n * picturesOfSheet);
    await pictures.photo(
      `duplicates-${n}.jpg`,
      { kind: "data", title: `Pictures in several splits, ${n}`, alt: spoken(shown) },
      await sheet(tilesOf(shown, { splits, classNames }), { side: 480, columns: 2, classNames }),
    );
  }
  return { pictures: pictures.finish(["data"]), duplicates, warning: await fontWarning(classNames) };
}

/** @throws RunDirectoryError for a file, and for a folder that has files that are no pictures of an earlier call */
function mustBeOwn(folder: string): void {
  if (!existsSync(folder) || existsSync(join(folder, indexName))) return;
  if (!statSync(folder).isDirectory())
    throw new RunDirectoryError(`Expected a folder for the pictures but ${folder} is a file: choose another name`);
  const other = readdirSync(folder).find((name) => !isPartial(name));
  if (other !== undefined)
    throw new RunDirectoryError(
      `Expected an empty folder, or one of earlier pictures, but ${folder} has ${other}: choose another folder`,
    );
}

/** Two files of each group side by side, of different splits, with their boxes. */
function tilesOf(groups: readonly DuplicateGroup[], { splits, classNames }: Omit<ReadSplits, "layout" | "faults">) {
  return groups.flatMap((group): SheetTile[] =>
    pairOf(group).map(({ file, split }) => {
      const image = splits.find((each) => each.split === split)?.images.find((each) => each.file === file);
      const boxes = Array.from(image?.labels ?? [], (classId, i): LabelledBox => {
        const box = [...(image?.boxes.subarray(i * 4, i * 4 + 4) ?? [])];
        return { box, classId, className: classNames[classId] };
      });
      return { image: file, boxes, caption: `${split}: ${basename(file)}` };
    }),
  );
}

/** The first file of a group, and the first of another split. */
function pairOf({ files }: DuplicateGroup): DuplicateGroup["files"] {
  const [first] = files;
  return [first, ...files.filter(({ split }) => split !== first.split).slice(0, 1)];
}

function spoken(groups: readonly DuplicateGroup[]): string {
  const pairs = groups.map((group) => {
    const [one, other] = pairOf(group).map(({ file, split }) => `${basename(file)} of ${split}`);
    return `${one} is ${group.kind === "exact" ? "the same as" : "nearly the same as"} ${other}`;
  });
  return `Pairs of pictures side by side: ${pairs.join("; ")}.`;
}
