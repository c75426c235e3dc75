// Which precision to train in, and why. Names are Lightning's.

import { PrecisionError } from "./errors.js";
import { type Hardware, readHardware } from "./hardware.js";

/**
 * `32-true`: everything in float32. `bf16-mixed` and `16-mixed`: matrix products in half precision, weights, gradients,
 * optimizer and everything delicate in float32; `16-mixed` scales the loss, because float16 ends at 65504 and 6e-8.
 */
export type Precision = "32-true" | "bf16-mixed" | "16-mixed";
/** Names of the precisions. */
export const precisions: readonly Precision[] = ["32-true", "bf16-mixed", "16-mixed"];

/** What a user may ask for; true means "auto", false and null mean "32-true". */
export type PrecisionRequest = Precision | "auto" | boolean | null;

/** The precision that a request became, with the reason. */
export interface ResolvedPrecision {
  precision: Precision;
  /** Why this one, in words to print. */
  reason: string;
  /** What the user should know about running it on this hardware; null when there is nothing. */
  note: string | null;
}

interface AutoRow {
  fits: (hardware: Hardware) => boolean;
  hardware: string;
  precision: Precision;
  reason: string;
}

/** The table behind "auto": the first row that fits the hardware decides. */
export const autoTable: readonly AutoRow[] = [
  {
    fits: (h) => h.device === "cuda" && h.bf16,
    hardware: "CUDA GPU with bfloat16 units",
    precision: "bf16-mixed",
    reason: "this GPU multiplies bfloat16 natively, and bfloat16 needs no loss scaling",
  },
  {
    fits: (h) => h.device === "cuda",
    hardware: "older CUDA GPU",
    precision: "16-mixed",
    reason: "this GPU has float16 matrix units but none for bfloat16",
  },
  {
    fits: (h) => h.device === "mps",
    hardware: "Apple GPU (MPS)",
    precision: "16-mixed",
    reason: "Apple GPUs are fastest in float16",
  },
  {
    fits: (h) => h.bf16,
    hardware: "CPU with avx512_bf16 or amx_bf16",
    precision: "bf16-mixed",
    reason: "this CPU multiplies bfloat16 natively, about four times as fast as float32",
  },
  {
    fits: () => true,
    hardware: "any other CPU",
    precision: "32-true",
    reason: "this CPU has no half-precision matrix units: half would be slower",
  },
];

const emulationNote =
  "This CPU has no float16 matrix units: products are computed as a tensor core computes them (operands rounded to half, float32 sums, result rounded), which is right in every digit and slower than 32-true.";

/**
 * The precision for a request on a device or on given hardware, with the reason to print.
 * @throws PrecisionError for an unknown name
 * @example
 * import { resolvePrecision } from "@rfdetr/amp";
 * const { precision, reason } = resolvePrecision("auto", "cpu");
 */
export function resolvePrecision(request: PrecisionRequest, device: string | Hardware = "cpu"): ResolvedPrecision {
  if (request === false || request === null)
    return { precision: "32-true", reason: "mixed precision is switched off", note: null };
  const hardware = typeof device === "string" ? readHardware(device) : device;
  if (request === true || request === "auto") {
    const { precision, reason } = autoTable.find((row) => row.fits(hardware)) as AutoRow;
    return { precision, reason, note: null };
  }
  if (!precisions.includes(request))
    throw new PrecisionError(
      `Expected one of auto, ${precisions.join(", ")} for precision but received ${String(request)} of type ${typeof request}`,
    );
  return { precision: request, reason: "asked for", note: noteOn(request, hardware) };
}

function noteOn(precision: Precision, hardware: Hardware): string | null {
  if (precision === "16-mixed" && !hardware.fp16) return emulationNote;
  if (precision === "bf16-mixed" && !hardware.bf16)
    return `This ${hardware.device === "cpu" ? "CPU" : "GPU"} has no bfloat16 matrix units: bf16-mixed runs, and saves memory, but slower than 32-true.`;
  return null;
}
