// Custom datasets, and lists of several datasets, as what every reader of datasets takes: a path.
import { existsSync, readFileSync } from "node:fs";
import { join, relative, resolve, sep } from "node:path";
import { ConfigError } from "../../support/errors.js";
import { makeFolder, replaceText } from "../../support/files/atomic.js";
import { sha256 } from "../../support/files/sha256.js";
import { shown } from "../../support/shown.js";
import { type CustomData, isCustomData } from "./custom-dataset.js";
import { type GatherOptions, gatherInto } from "./gather-dataset.js";

/** One of several datasets to train on together. */
export interface DataPart {
  /** A folder, the YAML file of a YOLO dataset, or a custom dataset. */
  path: string | CustomData;
  /** Its share of the images of an epoch, relative to those of the others; default: its share of all images. */
  share?: number;
}

/** Data that are not named by a path. */
export type GivenData = CustomData | readonly DataPart[];

/** Whether a value is meant as data: a custom dataset, or a list of datasets. */
export const isGivenData = (value: unknown): value is GivenData => Array.isArray(value) || isCustomData(value);

/**
 * The path of data. A custom dataset is gathered, and a list becomes a file that names its datasets; both are
 * named after what they hold.
 * @param parent folder for what is written
 * @throws ConfigError for a list that is none, DataError for a row at fault
 */
export async function dataPath(data: GivenData, parent: string, options: GatherOptions = {}): Promise<string> {
  if (isCustomData(data)) return (await gatherInto(parent, data, options)).folder;
  if (data.length === 0) throw new ConfigError("Expected a dataset or several but received an empty list");
  const home = resolve(parent);
  const datasets: { path: string; share?: number }[] = [];
  for (const part of data) {
    const { path, share, ...others } = partOf(part);
    if (Object.keys(others).length > 0 || !(typeof path === "string" || isCustomData(path)))
      throw new ConfigError(`Expected { path, share } for each of several datasets but received ${shown(part)}`);
    if (share !== undefined && !(typeof share === "number" && share > 0 && share < Number.POSITIVE_INFINITY))
      throw new ConfigError(`Expected a share above 0 for each of several datasets but received ${shown(share)}`);
    const found = typeof path === "string" ? resolve(path) : await dataPath(path, parent, options);
    // A folder of runs may move together with its data.
    datasets.push({ path: relative(home, found).split(sep).join("/"), ...(share === undefined ? {} : { share }) });
  }
  const content = `${JSON.stringify({ datasets }, null, 2)}\n`;
  const name = `datasets-${sha256(content).slice(0, 12)}.json`;
  const file = join(home, name);
  const isWritten = (): boolean => existsSync(file) && readFileSync(file, "utf8") === content;
  if (isWritten()) return file;
  makeFolder(home);
  try {
    replaceText(file, content);
  } catch (error) {
    // Other processes of the run write the same file.
    if (!isWritten()) throw error;
  }
  return file;
}

function partOf(part: unknown): Partial<DataPart> {
  if (typeof part === "object" && part !== null) return part;
  throw new ConfigError(`Expected { path, share } for each of several datasets but received ${shown(part)}`);
}
