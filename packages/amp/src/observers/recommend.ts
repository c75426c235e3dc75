// Recommends one of the precisions that calibration measured.
import type { Precision } from "../names.js";
import { cosineText } from "../text.js";
import type { CalibratedPrecision, MeasuredSpeed } from "./calibrated-precision.js";

/** The recommended precision, and the reason in words to print. */
export interface Recommendation {
  precision: Precision;
  reason: string;
  /** Whether single rounds, which scatter widely, have a precision both worth it and not: measure again. */
  undecided: boolean;
}

/** Cosine with the exact gradient, at the same choices, below which a precision is rejected. */
const worstCosine = 0.98;

/** Whether a precision is worth it at a speed. */
const pays = (speedup: number, { memory_ratio: memory }: CalibratedPrecision): boolean =>
  speedup >= 1.1 || (speedup >= 0.95 && memory <= 0.9);

/**
 * Whether measured speeds leave a claim undecided: single rounds scatter by over a quarter of the speed, and it holds
 * of the slowest and not of the fastest, or the other way round.
 * @param holds the claim at a speed, which changes once at most from slow to fast
 * @example
 * import { roundsDisagree } from "@rfdetr/amp";
 * roundsDisagree({ speedup: 1, speedup_range: [0.7, 1.4] }, (speed) => speed > 1.1); // true: measure again
 */
export const roundsDisagree = (
  { speedup, speedup_range: [least, largest] }: MeasuredSpeed,
  holds: (speedup: number) => boolean,
): boolean => largest - least > 0.25 * speedup && holds(least) !== holds(largest);

/**
 * How fast something is beside `32-true`, with the rounds where these scatter.
 * @example
 * import { speedInWords } from "@rfdetr/amp";
 * speedInWords({ speedup: 0.79, speedup_range: [0.66, 0.97] }); // "0.79 (0.66 to 0.97 by round) times"
 */
export function speedInWords({ speedup, speedup_range: [least, largest] }: MeasuredSpeed): string {
  const rounds = largest - least < 0.05 * speedup ? "" : ` (${least.toFixed(2)} to ${largest.toFixed(2)} by round)`;
  return `${speedup.toFixed(2)}${rounds} times`;
}

/**
 * The cosine of a gradient with the exact one, at the same choices; where the step's own choices are others, that with
 * them too. Digits are those of the doctor's table.
 */
function cosineInWords({ rounding_cosine, gradient_cosine, choices }: CalibratedPrecision): string {
  const own = choices.length > 0 ? ` at the same choices, ${cosineText(gradient_cosine)} with its own` : "";
  return `cosine ${cosineText(rounding_cosine)}${own}`;
}

/**
 * Recommends the fastest precision whose gradient is close to the exact one at the same choices. To be worth it, a
 * precision must be at least 1.1 times as fast as `32-true`, or need at most 90 % of its memory at no less than 0.95
 * times its speed. The default stands where single rounds have it worth it, and none has another faster by all rounds.
 * Where rounds scatter by over a quarter of the speed and disagree on that, the recommendation is undecided.
 * @param rows what was measured of each precision in one run
 * @param byDefault what `auto` takes on this hardware
 * @returns the precision, and the reason in words to print
 */
export function recommend(rows: readonly CalibratedPrecision[], byDefault: Precision = "32-true"): Recommendation {
  const low = rows.filter((row) => row.precision !== "32-true");
  const right = low.filter((row) => !row.nonfinite && row.rounding_cosine >= worstCosine);
  const wrong = low.filter((row) => !right.includes(row));
  const fastest = right.filter((row) => pays(row.speedup, row)).sort((a, b) => b.speedup - a.speedup)[0];
  const standing = right.find((row) => row.precision === byDefault && pays(row.speedup_range[1], row));
  const stands = standing !== undefined && (fastest?.speedup_range[0] ?? 0) <= standing.speedup_range[1];
  const best = stands ? standing : fastest;
  const undecided = right.some((row) => roundsDisagree(row, (speedup) => pays(speedup, row)));
  const measured = undecided ? "measured here, but rounds disagree" : "measured here";
  if (best !== undefined)
    return {
      undecided,
      precision: best.precision,
      reason: `${measured}: ${speedInWords(best)} as fast as 32-true with ${Math.round(best.memory_ratio * 100)} % of its peak tensor memory; its gradient agrees with the exact one (${cosineInWords(best)})`,
    };
  if (right.length > 0)
    return {
      undecided,
      precision: "32-true",
      reason: `${measured}: no low precision is worth it; ${right.map((row) => `${row.precision} runs at ${speedInWords(row)} the speed`).join(", ")}`,
    };
  const faults = wrong.map((row) => {
    const direction = `changes the direction of the gradient (${cosineInWords(row)})`;
    return `${row.precision} ${row.nonfinite ? "is not finite" : direction}`;
  });
  return {
    undecided,
    precision: "32-true",
    reason: `${measured}: ${faults.join(", ") || "no other precision was tried"}`,
  };
}
