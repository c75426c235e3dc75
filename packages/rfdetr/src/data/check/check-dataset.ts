// `rfdetr data check`: everything that is wrong with a dataset, one finding for each fault.
import { DataError } from "../../support/errors.js";
import { findCocoSplit } from "../formats/coco-split.js";
import type { Split } from "../formats/dataset.js";
import { openDataset } from "../formats/open.js";
import { findYoloFile } from "../formats/yolo.js";
import { brokenAnnotations, checks, type Fault, type Training } from "./checks.js";
import { type Listing, listSplit, readFiles } from "./listing.js";

/** A fault with the check that found it. */
export interface Finding extends Fault {
  /** Name of the check, such as `missing files`. */
  check: string;
  split: Split;
  /** What training does about it. */
  training: Training;
}

/** What a check of a dataset found. */
export interface CheckReport {
  /** Whether training would start: no finding is refused. */
  ok: boolean;
  /** `roboflow-coco`, `coco` or `yolo`. */
  layout: string;
  /** Numbers of entries of each split whose annotations can be read. */
  splits: Partial<Record<Split, { images: number; annotations: number }>>;
  /** Split by split, in the order of the table of checks. */
  findings: Finding[];
}

/** What a check of a dataset looks at. */
export interface CheckOptions {
  signal?: AbortSignal;
  /** Called after each image with the numbers of images done and in all, split by split. */
  onProgress?: (done: number, total: number) => void;
}

/**
 * Checks the annotations of every split and decodes every image.
 * @throws DataError if the folder is not a dataset at all
 * @example
 * import { checkDataset } from "rfdetr/data";
 * const { ok, findings } = await checkDataset("birds/");
 * if (!ok) console.error(findings.map(({ file, message }) => `${file}: ${message}`).join("\n"));
 */
export async function checkDataset(root: string, options: CheckOptions = {}): Promise<CheckReport> {
  const splits = (["train", "valid", "test"] as const).filter((split) => mayHave(root, split));
  // Not a dataset: opening it says what was looked for.
  if (splits.length === 0) openDataset(root, "train");
  const report: CheckReport = { ok: true, layout: "", splits: {}, findings: [] };
  for (const split of splits) await checkSplit(root, split, report, options);
  report.ok = report.findings.every(({ training }) => training !== "refused");
  return report;
}

const mayHave = (root: string, split: Split): boolean =>
  findCocoSplit(root, split) !== null || findYoloFile(root) !== null;

async function checkSplit(root: string, split: Split, report: CheckReport, options: CheckOptions): Promise<void> {
  let listing: Listing | null;
  try {
    listing = listSplit(root, split);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    const coco = findCocoSplit(root, split);
    report.layout ||= coco?.layout ?? "yolo";
    // YOLO datasets often have no test split, and only opening it tells.
    if (coco === null && split === "test") return;
    const file = coco?.annotations ?? (findYoloFile(root) as string);
    const { name: check, training } = brokenAnnotations;
    report.findings.push({ check, split, file, id: null, message: error.message, training });
    return;
  }
  if (listing === null) return;
  report.layout = listing.layout;
  report.splits[split] = { images: listing.images.length, annotations: listing.annotations.length };
  await readFiles(listing, options);
  for (const { name: check, training, find } of checks)
    for (const { file, id, message } of find(listing))
      report.findings.push({ check, split, file, id, message, training });
}
