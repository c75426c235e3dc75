// A file that lists several datasets to train on together, with their shares.
import { dirname, extname, resolve } from "node:path";
import { z } from "zod";
import { DataError } from "../../support/errors.js";
import { schemaFault } from "../../support/files/schema-fault.js";
import { dataFail } from "../../support/files/text-file.js";
import { readYaml } from "../../support/files/yaml.js";
import { checkArgument, filePath } from "../../support/options.js";
import { isFile } from "../formats/find-file.js";

/** One of several datasets. */
export interface ListedDataset {
  /** A folder, or the YAML file of a YOLO dataset; absolute. */
  path: string;
  /** Share of the images of an epoch, from 0 to 1; null leaves it to the number of images. */
  share: number | null;
}

const schema = z.strictObject({
  datasets: z
    .array(z.strictObject({ path: z.string().min(1), share: z.number().positive().max(1e9).optional() }))
    .min(1),
});

/**
 * Reads a list of datasets: `datasets`, each with a `path` (relative to the file) and a `share`. Shares are relative to
 * each other.
 * @returns null where the path is none: a folder, or another file
 * @throws DataError for a list that is none
 */
export function readDatasetList(data: string): ListedDataset[] | null {
  checkArgument("data", data, filePath);
  if (![".yaml", ".yml", ".json"].includes(extname(data).toLowerCase()) || !isFile(data)) return null;
  let content: Record<string, unknown>;
  try {
    content = readYaml(data, dataFail);
  } catch {
    // The reader of datasets says what is wrong with the file.
    return null;
  }
  return "datasets" in content ? checkList(content, data) : null;
}

function checkList(content: Record<string, unknown>, data: string): ListedDataset[] {
  const fault = schemaFault(schema, content);
  if (fault !== null) throw new DataError(`${fault} in the list of datasets ${data}`);
  const { datasets } = content as z.output<typeof schema>;
  const given = datasets.flatMap(({ share }) => share ?? []);
  if (given.length > 0 && given.length < datasets.length) {
    const without = datasets.find(({ share }) => share === undefined);
    throw new DataError(`Expected a share for every dataset of ${data}, or for none, but ${without?.path} has none`);
  }
  const sum = given.reduce((total, share) => total + share, 0);
  const list = datasets.map(({ path, share }) => ({
    path: resolve(dirname(data), path),
    share: share === undefined ? null : share / sum,
  }));
  const twice = list.find(({ path }, i) => list.findIndex((other) => other.path === path) !== i);
  if (twice !== undefined)
    throw new DataError(`Expected each dataset once in ${data} but ${twice.path} is there twice`);
  return list;
}
