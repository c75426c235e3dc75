// The option `data` of trainings, evaluations and exports.
import { rmSync } from "node:fs";
import { dataPath, type GivenData, isGivenData } from "../data/custom/data-path.js";
import type { GatherOptions } from "../data/custom/gather-dataset.js";
import { scratchFolder } from "../support/files/scratch.js";
import { type OptionKind, text } from "../support/options.js";

/** A path, a custom dataset, or several datasets. */
export const anyData: OptionKind = {
  takes: "a folder, { train, valid } or a list of { path, share }",
  fits: (value) => text.fits(value) || isGivenData(value),
};

/** Data that are not named by a path, as an option of a run. */
export const dataGiven = (data: string | GivenData | undefined): { data?: GivenData } =>
  typeof data === "object" ? { data } : {};

/**
 * Does something with the path of data. Data that are not named by a path are read once, into a folder for temporary
 * files that is removed afterwards.
 * @param options whether boxes refer to pictures that are turned as their EXIF tag says, and what stops the reading
 */
export async function withDataPath<T>(
  data: string | GivenData,
  options: Pick<GatherOptions, "autoOrient" | "signal">,
  use: (path: string) => Promise<T>,
): Promise<T> {
  if (typeof data === "string") return use(data);
  const folder = scratchFolder("data");
  try {
    return await use(await dataPath(data, folder, options));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
