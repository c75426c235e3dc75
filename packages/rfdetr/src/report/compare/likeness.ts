// Whether runs can be compared as equals.

import { mainColumns } from "../../eval/figures/main-columns.js";
import { counted } from "../html/words.js";
import type { RunRecord } from "../records/run-record.js";

/** Whether a run is judged by masks. */
export const hasMasks = ({ metrics }: RunRecord): boolean => mainColumns(metrics.columns).of !== "";

/** Whether all runs have masks, or none has. */
export const sameKind = (runs: readonly RunRecord[]): boolean => new Set(runs.map(hasMasks)).size < 2;

type Data = NonNullable<NonNullable<RunRecord["config"]>["data"]>;
type Split = Data["train"];

/**
 * Pixels by which the mean of boxes may differ where one format of files rounds more than another, or has outlines in
 * place of boxes.
 */
const rounding = 0.25;

/** How one split of a run differs from that of another, in words; null where pictures and labels are the same. */
function splitDifference(a: Split, b: Split): string | null {
  const counts = ({ images, objects }: Split): string =>
    `${counted(images, "image")} with ${counted(objects, "object")}`;
  if (a.images !== b.images || a.objects !== b.objects) return `${counts(a)} and ${counts(b)}`;
  if (a.sha256 !== undefined && a.sha256 === b.sha256) return null;
  // Records of earlier versions do not tell more.
  if (a.alike === undefined || b.alike === undefined) return null;
  if (a.alike.sha256 !== b.alike.sha256) return "other images or classes, in equal numbers";
  const { box } = b.alike;
  return a.alike.box.every((value, i) => Math.abs(value - box[i]) <= rounding)
    ? null
    : "other boxes, in the same images";
}

/**
 * How the data of runs differ, as far as these tell: pictures and labels count, not where they lie or in which format
 * of files. Each phrase is of one split; none where the data are the same.
 */
export function dataDifferences(runs: readonly RunRecord[]): string[] {
  const [first, ...others] = runs.flatMap(({ config }) => config?.data ?? []);
  if (first === undefined) return [];
  const names = { train: "training", valid: "validation" } as const;
  const found = others.flatMap((other) => {
    const differences = (["train", "valid"] as const).flatMap((split) => {
      const difference = splitDifference(first[split], other[split]);
      return difference === null ? [] : [`${names[split]}: ${difference}`];
    });
    if (differences.length > 0 || isTold(first.train, other.train)) return differences;
    // Of a run of an earlier version, the folder must speak for what its record lacks.
    return folderOf(first) === folderOf(other) ? [] : [`folders ${folderOf(first)} and ${folderOf(other)}`];
  });
  return [...new Set(found)];
}

/** Whether the records of two splits tell if they are the same. */
const isTold = (a: Split, b: Split): boolean =>
  (a.sha256 !== undefined && a.sha256 === b.sha256) || (a.alike !== undefined && b.alike !== undefined);
const folderOf = ({ path }: Data): string => path.split(/[\\/]/).at(-1) ?? "";

/** Whether the runs had the same data. See {@link dataDifferences}. */
export const sameData = (runs: readonly RunRecord[]): boolean => dataDifferences(runs).length === 0;

/** Optimizer steps of a run; null where it does not tell. */
export const stepsOf = ({ numerics, summary }: RunRecord): number | null =>
  numerics.lastStep || (summary?.steps ?? null);

/** Whether the runs took as many steps as each other. */
export const sameSteps = (runs: readonly RunRecord[]): boolean => new Set(runs.map(stepsOf)).size < 2;

/** The precisions that the numerics of the runs were recorded in, each once. */
export const precisionsOf = (runs: readonly RunRecord[]): string[] => [
  ...new Set(runs.flatMap(({ numerics }) => numerics.header?.precision ?? [])),
];
