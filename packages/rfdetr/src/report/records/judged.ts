// Which evaluation of a run its report explains.
import type { RunRecord } from "./run-record.js";

/** The run with the evaluation of its best weights in place of the last one, where it has kept that. */
export function judgedByBest(run: RunRecord): RunRecord {
  return run.bestDetails === null ? run : { ...run, evaluation: run.bestDetails, details: run.bestDetails };
}

/** Which weights the evaluation of a run is of that {@link judgedByBest} gives. */
export function judgedWords({ details, bestDetails }: RunRecord): string {
  const epoch = details?.origin.epoch ?? null;
  return `${bestDetails === null ? "the last evaluation" : "the best weights"}${epoch === null ? "" : `, epoch ${epoch}`}`;
}
