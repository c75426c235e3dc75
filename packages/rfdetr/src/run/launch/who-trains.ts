// Which processes train: those that this one is to start, or the group of a launcher that it is one of.
import type { TrainSettings } from "../../settings/settings.js";
import { UsageError } from "../../support/errors.js";
import { type RankPlace, readRankPlace } from "./rank-place.js";
import { checkProcesses } from "./shares.js";

/** How many processes are to be started, or the place that this one has already. @throws UsageError */
export function whoTrains(
  settings: TrainSettings | null,
  {
    processes,
    resume = null,
    maxRestarts = 0,
  }: { processes?: number | undefined; resume?: string | null | undefined; maxRestarts?: number | undefined },
): { processes: number; place: RankPlace | null } {
  const wanted = processes ?? settings?.processes ?? 1;
  const place = readRankPlace(process.env, settings?.processTimeout ?? 600, wanted)?.place ?? null;
  if (maxRestarts > 0 && place !== null)
    throw new UsageError(`Expected no restarts under a launcher but received ${maxRestarts}`, {
      hint: "Leave them out: the launcher starts processes anew, as torchrun does with an option of its own",
    });
  if (maxRestarts > 0 && wanted === 1)
    throw new UsageError(`Expected several processes with restarts but received one process and ${maxRestarts}`, {
      hint: "Leave the restarts out, or train with more `processes`",
    });
  if (place === null) {
    checkProcesses(wanted);
    return { processes: wanted, place };
  }
  if (resume === null && settings !== null && settings.processes !== place.size)
    throw new UsageError(
      `Expected ${place.size} for processes, as the launcher has started, but received ${settings?.processes ?? 1}`,
      { hint: "Leave it out: the launcher says how many processes there are" },
    );
  return { processes: place.size, place };
}
