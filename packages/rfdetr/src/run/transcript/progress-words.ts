// Where a run is, in the words that the console, the live page and the report have in common.
import { clock, grouped, hms } from "../../support/format.js";

/** A count of a plan, as `2/3`; without the plan where there is none yet. */
export const ofPlan = (count: number, planned: number | null): string =>
  `${grouped(count)}${planned === null ? "" : `/${grouped(planned)}`}`;

/** How much is done, as `54 %`. @param share 0 to 1 */
export const percentDone = (share: number): string => `${Math.floor(100 * share)} %`;

/** The loss of a step. */
export const lossText = (loss: number): string => (loss < 1e6 ? loss.toFixed(3) : loss.toExponential(2));

/** Time left and time of the end, as `1:02:03 left (13:02)`; null where that is not known, or is no time any more. */
export const leftText = (seconds: number, now: Date): string | null =>
  Number.isFinite(seconds) && seconds >= 0.5 ? `${hms(seconds)} left (${clock(now, seconds)})` : null;
