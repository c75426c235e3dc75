// The dataset that a test of checks and repairs spoils: a folder of its own, empty before each test.
import { join } from "node:path";
import { checkDataset } from "../data/check/check-dataset.js";
import { checks } from "../data/check/checks.js";
import { type Content, editCoco, writeCoco, writeLabels } from "./dataset-files.js";
import { testFolder } from "./test-folder.js";

/** A folder for the files of a test, empty before each, and the dataset in it. */
export const root = testFolder({ emptied: true });
export const folder = join(root, "data");

export const train = (change: (content: Content) => void): void => editCoco(folder, "train", change);
export const valid = (change: (content: Content) => void): void => editCoco(folder, "valid", change);
export const first = (content: Content): Record<string, unknown> => content.annotations[0];
export const yolo = (name: string, ...lines: string[]): void => writeLabels(folder, "train", name, lines);

/** A dataset of which every object has a triangle. */
export async function writeOutlined(): Promise<void> {
  await writeCoco(folder);
  for (const split of ["train", "valid"])
    editCoco(folder, split, ({ annotations }) => {
      for (const annotation of annotations) {
        const [x, y, w, h] = annotation.bbox as number[];
        annotation.segmentation = [[x, y, x + w, y, x, y + h]];
      }
    });
}

/** Gives the first object of training an outline. */
export const segment = (segmentation: unknown): void => train((c) => Object.assign(first(c), { segmentation }));

/** The runs of a mask of one column, filled from a tenth to four tenths of its height. */
export const column = (height: number, width: number) => ({
  size: [height, width],
  counts: [height * 7.1, height * 0.3, height * (width - 7.4)].map(Math.round),
});

/** The findings about faults. */
export async function faults(path = folder, options = {}) {
  const names = new Set(checks.map(({ name }) => name));
  return (await checkDataset(path, options)).findings.filter(({ check }) => names.has(check));
}

/** Faults as `split check: effect`, with the number of those that repeat. */
export async function found(options = {}): Promise<string[]> {
  const lines = (await faults(folder, options)).map(({ split, check, training }) => `${split} ${check}: ${training}`);
  return [...new Set(lines)].map((line) => {
    const count = lines.filter((each) => each === line).length;
    return count === 1 ? line : `${line} ×${count}`;
  });
}

/** A kind of fault: how it comes about, what is found, and whether a copy without it can be written. */
export type Kind = [what: string, make: () => unknown, findings: string[], fixable?: boolean];
