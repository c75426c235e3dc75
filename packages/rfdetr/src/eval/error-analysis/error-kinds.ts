// The kinds of error of a detector (Bolya et al. 2020, TIDE).

/**
 * Why a detection is wrong, or an object is not found, at IoU 0.5 and with IoU 0.1 as the limit of the background. The
 * IoU is that of boxes; where masks are judged, read "mask" for "box":
 *
 * - `class`: the box is right (IoU ≥ 0.5 with an object of another class), the class is not.
 * - `localisation`: the class is right, the box is not (IoU from 0.1 to 0.5 with an object of its class).
 * - `both`: neither is right, although an object is near.
 * - `duplicate`: the object was found already, by a detection with a higher score.
 * - `background`: there is no object (IoU ≤ 0.1 with all).
 * - `missed`: an object that no detection found, and that no `class` or `localisation` error would find if it were
 *   corrected.
 */
export const errorKinds = ["class", "localisation", "both", "duplicate", "background", "missed"] as const;
/** See {@link errorKinds}. */
export type ErrorKind = (typeof errorKinds)[number];

export { type ObjectSize, objectSizes } from "../../support/object-sizes.js";

/** How many errors, and what they cost. */
export interface ErrorCost {
  count: number;
  /** How much AP50 rises if these errors, and no others, are corrected: a fraction of 1. */
  lost: number;
}
