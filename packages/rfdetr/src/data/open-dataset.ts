// Opens a split of a dataset for training or evaluation.
import { DataError } from "../support/errors.js";
import { checkArgument, checkOptions, flag, type OptionKinds, oneOf } from "../support/options.js";
import { checks } from "./check/checks.js";
import { checkHint, type Finding, findingsOf, groupFindings } from "./check/findings.js";
import { toDataset } from "./check/to-dataset.js";
import type { Dataset, Split } from "./formats/dataset.js";
import { splits as allSplits, findLayout } from "./formats/layout.js";
import { type DatasetListing, listDataset } from "./formats/list-dataset.js";
import { type ListedDataset, readDatasetList } from "./several/dataset-list.js";
import { joinDatasets, type OpenedDataset } from "./several/join-datasets.js";

/** How a dataset is opened. */
export interface OpenOptions {
  /** Whether pictures are turned as their EXIF tag says (default true). */
  autoOrient?: boolean;
  /**
   * Whether the outlines of the objects are read too, for segmentation (default false). What is wrong with them then
   * counts as any fault.
   */
  masks?: boolean;
}

/**
 * Reads splits of a dataset of any layout. Class indices of all splits follow the categories of the train split.
 * @param data a folder, the YAML file of a YOLO dataset, or a file that lists several datasets
 * @throws DataError naming the first fault that training refuses, and how many there are; UsageError for a wrong option
 * @example
 * import { openDataset } from "rfdetr/data";
 * const { images, classNames } = openDataset("birds/", "train");
 */
export function openDataset(data: string, split: Split, options: OpenOptions = {}): Dataset {
  return openDatasets(data, [split], options)[0];
}

/**
 * As {@link openDataset}, for several splits; their files are read once. @throws DataError
 *
 * @example
 * const [train, valid] = openDatasets("birds/", ["train", "valid"]);
 * console.log(train.classNames, train.images.length, valid.images.length);
 */
export function openDatasets(data: string, splits: readonly Split[], options: OpenOptions = {}): Dataset[] {
  checkOptions("openDataset", options, { autoOrient: flag, masks: flag } satisfies OptionKinds<OpenOptions>);
  for (const split of splits) checkArgument("split", split, oneOf(...allSplits));
  const { autoOrient = true, masks = false } = options;
  const list = readDatasetList(data);
  if (list !== null) return openSeveral(list, splits, { autoOrient, masks });
  const listing = listDataset(data, { splits, autoOrient, outlines: masks });
  return splits.map((split) => opened(data, listing, split));
}

/** Opens the datasets of a list, and joins each split. A dataset without one of the splits gives its classes only. */
function openSeveral(list: readonly ListedDataset[], splits: readonly Split[], options: OpenOptions): Dataset[] {
  const all = list.map((each): OpenedDataset => {
    if (readDatasetList(each.path) !== null)
      throw new DataError(`Expected a dataset but ${each.path} lists datasets itself: name them in one list`);
    const present = splits.filter((split) => split === "train" || hasSplit(each.path, split));
    const wanted: Split[] = present.length === 0 ? ["train"] : present;
    const read = openDatasets(each.path, wanted, options);
    return { ...each, splits: Object.fromEntries(wanted.map((split, i) => [split, read[i]])) };
  });
  return splits.map((split) => joinDatasets(all, split));
}

function opened(data: string, listing: DatasetListing, split: Split): Dataset {
  const findings = findingsOf(listing, split);
  // Who opens the test split wants it: what would stop training stops him.
  const refused = findings.filter(
    (finding) => finding.training === "refused" || (split === "test" && isRefusal(finding)),
  );
  const listed = listing.splits[split];
  if (refused.length > 0 || listed === undefined) throw refusal(data, split, refused, listed?.outlines ?? false);
  return toDataset(listed, listing.classes, warningsOf(findings));
}

const refusals = new Set(
  checks.filter(({ training, valid = training }) => valid === "refused").map(({ name }) => name),
);
const isRefusal = ({ check }: Finding): boolean => refusals.has(check);

function refusal(data: string, split: Split, findings: readonly Finding[], masks: boolean): DataError {
  const [{ message, check }] = findings;
  const more =
    findings.length > 1 ? ` (and ${findings.length - 1} more ${findings.length === 2 ? "fault" : "faults"})` : "";
  if (check === "missing split") return new DataError(`Expected a ${split} split but ${message}`);
  return new DataError(`The ${split} split of ${data} cannot be used: ${message}${more}`, {
    hint: checkHint(
      data,
      masks,
      findings.map((finding) => finding.check),
    ),
  });
}

/** Checks whose findings are normal in good data. */
const usual = new Set(["images without annotations", "duplicate annotation ids"]);

/** One sentence for each check that found something. */
function warningsOf(findings: readonly Finding[]): string[] {
  return groupFindings(findings)
    .filter(([{ check }]) => !usual.has(check))
    .map((group) => {
      const [{ message, check }] = group;
      return group.length === 1 ? message : `${group.length} × ${check}, such as: ${message}`;
    });
}

/**
 * Whether a dataset has a split. @throws DataError if it is no dataset
 *
 * @example
 * if (hasSplit("birds/", "test")) console.log(openDataset("birds/", "test").images.length);
 */
export function hasSplit(data: string, split: Split): boolean {
  const list = readDatasetList(data);
  if (list !== null) return list.some(({ path }) => hasSplit(path, split));
  return findLayout(data).sources[split] !== undefined;
}
