// Whether runs can be compared as equals.
import { mainColumns } from "../../eval/figures/main-columns.js";
import type { RunRecord } from "../records/run-record.js";

/** Whether a run is judged by masks. */
export const hasMasks = ({ metrics }: RunRecord): boolean => mainColumns(metrics.columns).of !== "";

/** Whether all runs have masks, or none has. */
export const sameKind = (runs: readonly RunRecord[]): boolean => new Set(runs.map(hasMasks)).size < 2;

/** Whether the runs had the same data, as far as they tell: a copy in another place is the same data. */
export function sameData(runs: readonly RunRecord[]): boolean {
  const known = runs.flatMap(({ config }) => config?.data ?? []);
  const keys = known.map(({ path, train, valid }) =>
    JSON.stringify([path.split(/[\\/]/).at(-1), train.images, train.objects, valid.images, valid.objects]),
  );
  return new Set(keys).size < 2;
}

/** Optimizer steps of a run; null where it does not tell. */
export const stepsOf = ({ numerics, summary }: RunRecord): number | null =>
  numerics.lastStep || (summary?.steps ?? null);

/** Whether the runs took as many steps as each other. */
export const sameSteps = (runs: readonly RunRecord[]): boolean => new Set(runs.map(stepsOf)).size < 2;
