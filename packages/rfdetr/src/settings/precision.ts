// The precision that settings ask for.
import type { Precision } from "@rfdetr/amp";
import type { TrainSettings } from "./settings.js";

/** The precision asked for: `precision`, else what `amp_dtype` and `amp` mean. */
export function wantedPrecision({ precision, amp, ampDtype }: TrainSettings): Precision | "auto" {
  if (precision !== "auto") return precision;
  if (ampDtype === "bf16") return "bf16-mixed";
  if (ampDtype === "fp16") return "16-mixed";
  return ampDtype === null || !amp ? "32-true" : "auto";
}
