// `doctor --threshold`: the score above which its comparison counts a detection as reported.
import { noRecorded } from "../../support/asked-thresholds.js";
import { UsageError } from "../../support/errors.js";
import type { RecordedThresholds } from "../../support/recorded-thresholds.js";
import { optionText, readThresholds } from "../model/thresholds.js";

/** A threshold, and where it comes from, in words. */
export interface ReportedFrom {
  threshold: number;
  from: string;
}

/**
 * The threshold that is asked for; else the best one of the weights' training, for all classes, and else that of
 * `predict`.
 * @param flag a number from 0 to 1, or `best`
 * @param recorded thresholds of the weights; null where they have none
 * @param weights their name, for the error
 * @throws UsageError
 */
export function reportedFrom(
  flag: string | undefined,
  recorded: RecordedThresholds | null,
  weights: string,
): ReportedFrom {
  const asked = flag === undefined ? null : readThresholds([flag]);
  if ((typeof asked === "object" && asked !== null) || asked === "best-by-class")
    throw new UsageError(`Expected number from 0 to 1 or best for threshold but received ${JSON.stringify(flag)}`);
  if (typeof asked === "number") return { threshold: asked, from: "--threshold" };
  if (recorded !== null)
    return { threshold: recorded["*"], from: "the best one in the evaluation of the weights' training" };
  if (asked === "best") throw new UsageError(noRecorded(weights, null, optionText));
  return { threshold: 0.5, from: "the default of predict" };
}
