// `rfdetr data check`: everything that is wrong with a dataset, one finding for each fault.

import { append } from "../../support/lists.js";
import { abortSignal, anyObject, callback, checkOptions, flag, type OptionKinds } from "../../support/options.js";
import type { Split } from "../formats/dataset.js";
import { missingSplit, splits } from "../formats/layout.js";
import { type DatasetListing, listDataset } from "../formats/list-dataset.js";
import type { ListedImage } from "../formats/listing.js";
import { decodeFile } from "../images/decode.js";
import { type Finding, findingsOf } from "./findings.js";
import type { QualityLimits } from "./quality.js";
import { duplicateFindings, qualityFindings } from "./remarks.js";
import { unlistedFindings } from "./unlisted.js";

export type { Finding } from "./findings.js";

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
  /** Whether to decode every image (default true); else only their headers are read. */
  decode?: boolean;
  /** Whether pictures are turned as their EXIF tag says (default true). */
  autoOrient?: boolean;
  /** Whether the outlines of the objects are looked at too, for segmentation (default false). */
  masks?: boolean;
  /** What the model can do, to judge the data by (default: the numbers of the published models). */
  limits?: QualityLimits;
  /** Called after each image with the numbers of images done and in all. */
  onProgress?: (done: number, total: number) => void;
}

const checkOptionKinds: OptionKinds<CheckOptions> = {
  signal: abortSignal,
  decode: flag,
  autoOrient: flag,
  masks: flag,
  limits: anyObject,
  onProgress: callback,
};

/** @throws UsageError for a wrong option */
export const validOptions = (call: string, options: CheckOptions): void =>
  checkOptions(call, options, checkOptionKinds);

/** Detections that the published models give of an image, and that average precision counts of it. */
const published: QualityLimits = { detections: 300, maxDets: 100 };

/**
 * Checks the annotations of every split, decodes every image, and finds what spoils results although nothing is wrong:
 * rare classes, tiny boxes, pictures that are in two splits.
 * @param data a folder, or the YAML file of a YOLO dataset
 * @throws DataError if it is no dataset at all
 * @example
 * import { checkDataset } from "rfdetr/data";
 * const { ok, findings } = await checkDataset("birds/");
 * if (!ok) console.error(findings.map(({ file, message }) => `${file}: ${message}`).join("\n"));
 */
export async function checkDataset(data: string, options: CheckOptions = {}): Promise<CheckReport> {
  validOptions("checkDataset", options);
  return fullReport(await listForCheck(data, options), options);
}

/** The findings of a listing, and what else spoils results. */
export async function fullReport(listing: DatasetListing, options: CheckOptions): Promise<CheckReport> {
  const report = reportOf(listing);
  append(report.findings, qualityFindings(listing, options.limits ?? published));
  append(report.findings, unlistedFindings(listing));
  const { signal, onProgress, decode = true } = options;
  if (decode) append(report.findings, await duplicateFindings(listing, { signal, onProgress }));
  return report;
}

/** Lists every split, and those that training needs, and decodes the images. @throws DataError */
export async function listForCheck(
  data: string,
  options: CheckOptions & { segmentations?: boolean },
): Promise<DatasetListing> {
  const { decode = true, autoOrient = true, segmentations = false, masks = false } = options;
  const listing = listDataset(data, { autoOrient, segmentations, outlines: masks, unsplit: true });
  const { layout, problems } = listing;
  if (layout.unsplit !== null && layout.sources.train === layout.unsplit) {
    // Its annotations are looked at all the same; there are no splits to name one by one.
    const message = missingSplit({ ...layout, sources: {} }, "train");
    listing.problems = problems.filter(({ check }) => check !== "missing split");
    listing.problems.push({ split: "train", check: "missing split", file: layout.root, id: null, message });
  }
  if (decode)
    await decodeAll(
      Object.values(listing.splits).flatMap(({ images }) => images),
      options,
    );
  return listing;
}

/** The findings of a listing. */
function reportOf(listing: DatasetListing): CheckReport {
  const report: CheckReport = { ok: true, layout: "", splits: {}, findings: [] };
  for (const split of splits) {
    const listed = listing.splits[split];
    report.layout ||= listing.layout.sources[split]?.layout ?? "";
    if (listed !== undefined) report.splits[split] = { images: listed.images.length, annotations: listed.annotations };
    append(report.findings, findingsOf(listing, split));
  }
  report.ok = report.findings.every(({ training }) => training !== "refused");
  return report;
}

/** Decodes every image; one that does not decode gets a fault. */
async function decodeAll(images: readonly ListedImage[], { signal, onProgress }: CheckOptions): Promise<void> {
  const faults = new Map<string, ListedImage["fault"]>();
  for (const [i, image] of images.entries()) {
    signal?.throwIfAborted();
    if (image.fault === null) {
      if (!faults.has(image.file)) faults.set(image.file, await decodeFaultOf(image.file));
      image.fault = faults.get(image.file) ?? null;
    }
    onProgress?.(i + 1, images.length);
  }
}

async function decodeFaultOf(file: string): Promise<ListedImage["fault"]> {
  try {
    await decodeFile(file);
    return null;
  } catch (error) {
    return { kind: "undecodable", reason: (error as Error).message };
  }
}
