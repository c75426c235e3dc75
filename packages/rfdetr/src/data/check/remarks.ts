// Findings about data that is not wrong: what spoils results, and pictures that are there more than once.
import { relative, resolve } from "node:path";
import type { Split } from "../formats/dataset.js";
import { isInside } from "../formats/find-file.js";
import { splits } from "../formats/layout.js";
import type { DatasetListing } from "../formats/list-dataset.js";
import { type DuplicateOptions, findDuplicates } from "./duplicates.js";
import type { Finding } from "./findings.js";
import { findQualityProblems, type JudgedSplit, type QualityLimits } from "./quality.js";
import { toDataset } from "./to-dataset.js";

/** What spoils results although nothing is wrong. */
export function qualityFindings(listing: DatasetListing, limits: QualityLimits = {}): Finding[] {
  const judged = splits.flatMap((split): JudgedSplit[] => {
    const listed = listing.splits[split];
    return listed === undefined
      ? []
      : [{ split, source: listed.source, dataset: toDataset(listed, listing.classes, []) }];
  });
  return findQualityProblems(judged, limits).map((finding) => ({ ...finding, training: "kept" }));
}

/** Pictures that are in the dataset more than once, one finding for each group. */
export async function duplicateFindings(listing: DatasetListing, options: DuplicateOptions): Promise<Finding[]> {
  const files = splits.flatMap((split) =>
    (listing.splits[split]?.images ?? []).flatMap(({ file, fault }) => (fault === null ? [{ file, split }] : [])),
  );
  const root = resolve(listing.layout.root);
  const shown = (file: string): string => (isInside(root, file) ? relative(root, file) : file);
  return (await findDuplicates(files, options)).map(({ kind, across, files: group }): Finding => {
    const names = group.slice(0, 4).map(({ file }) => shown(file));
    const more = group.length > 4 ? ` and ${group.length - 4} more` : "";
    const { file, split } = group.at(-1) as { file: string; split: Split };
    const check = across ? "pictures in several splits" : "repeated pictures";
    const last = more === "" ? names.splice(-1) : [];
    const message = `${[names.join(", "), ...last].join(" and ")}${more} are ${kind === "exact" ? "the same file" : "nearly the same picture"}`;
    return { check, split, file, id: null, message, training: "kept" };
  });
}
