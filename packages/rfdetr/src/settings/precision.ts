// The precision that settings ask for.
import type { Precision } from "@rfdetr/amp";
import type { TrainSettings } from "./settings.js";

/**
 * A precision by its name, `auto` (what fits the hardware) or `measured` (what measures best on the run's first batch).
 */
export type RequestedPrecision = Precision | "auto" | "measured";

/** What `precision`, `amp_dtype` and `amp` ask for together. The first of them that is not `auto` decides. */
export function requestedPrecision({ precision, amp, ampDtype }: TrainSettings): RequestedPrecision {
  if (precision !== "auto") return precision;
  if (ampDtype === "bf16") return "bf16-mixed";
  if (ampDtype === "fp16") return "16-mixed";
  if (ampDtype === null || amp === false) return "32-true";
  return amp === "calibrate" ? "measured" : "auto";
}
