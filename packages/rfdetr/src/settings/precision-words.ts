// What the precisions are called, here and by other tools.
import { precisions } from "@rfdetr/amp/names";

/** The precisions that can be asked for by name. */
export const precisionNames = ["auto", ...precisions] as const;

/** Words of other tools for a precision, in lower case. */
export const precisionWords: Readonly<Record<string, string>> = {
  fp16: "16-mixed",
  float16: "16-mixed",
  half: "16-mixed",
  "16": "16-mixed",
  "fp16-mixed": "16-mixed",
  amp: "auto",
  mixed: "auto",
  bf16: "bf16-mixed",
  bfloat16: "bf16-mixed",
  tf32: "tf32",
  high: "tf32",
  fp32: "32-true",
  float32: "32-true",
  full: "32-true",
  "32": "32-true",
};
