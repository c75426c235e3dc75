// Which precision to train in, and why. Names are Lightning's.
import { type Hardware, readHardware } from "./hardware.js";

/**
 * `32-true`: everything in float32. `bf16-mixed` and `16-mixed`: matrix products in half precision, weights, gradients, optimizer
 * and everything delicate in float32; `16-mixed` scales the loss, because float16 ends at 65504 and 6e-8.
 */
export type Precision = "32-true" | "bf16-mixed" | "16-mixed";
export const precisions: readonly Precision[] = ["32-true", "bf16-mixed", "16-mixed"];

/** What a user may ask for; true means "auto", false and null mean "32-true". */
export type PrecisionRequest = Precision | "auto" | boolean | null;

export interface ResolvedPrecision {
  precision: Precision;
  reason: string;
}

/** The table behind "auto": the first row that fits the hardware decides. */
export const autoTable: readonly { fits: (hardware: Hardware) => boolean; hardware: string; precision: Precision; reason: string }[] = [
  { fits: (h) => h.device === "cuda" && h.bf16, hardware: "CUDA GPU with bfloat16", precision: "bf16-mixed", reason: "this GPU multiplies bfloat16 natively, and bfloat16 needs no loss scaling" },
  { fits: (h) => h.device === "cuda", hardware: "older CUDA GPU", precision: "16-mixed", reason: "this GPU has float16 matrix units but no bfloat16" },
  { fits: (h) => h.device === "mps", hardware: "Apple GPU (MPS)", precision: "16-mixed", reason: "Apple GPUs are fastest in float16" },
  { fits: (h) => h.device === "cpu" && h.bf16, hardware: "CPU with avx512_bf16 or amx_bf16", precision: "bf16-mixed", reason: "this CPU multiplies bfloat16 natively, about four times as fast as float32" },
  { fits: () => true, hardware: "any other CPU", precision: "32-true", reason: "this CPU has no half-precision matrix units: half would be slower" },
];

export class PrecisionError extends Error {
  readonly code = "ERR_PRECISION";
  constructor(received: unknown) {
    super(`Expected one of auto, ${precisions.join(", ")} for precision but received ${String(received)} of type ${typeof received}`);
    this.name = "PrecisionError";
  }
}

/**
 * The precision for a request on a device, with the reason to print.
 * @throws PrecisionError for an unknown name
 */
export function resolvePrecision(request: PrecisionRequest, device: string | Hardware = "cpu"): ResolvedPrecision {
  if (request === false || request === null) return { precision: "32-true", reason: "mixed precision is switched off" };
  const hardware = typeof device === "string" ? readHardware(device) : device;
  if (request === true || request === "auto") {
    const row = autoTable.find((r) => r.fits(hardware)) as (typeof autoTable)[number];
    return { precision: row.precision, reason: row.reason };
  }
  if (!precisions.includes(request)) throw new PrecisionError(request);
  if (request === "16-mixed" && hardware.device === "cpu" && !hardware.fp16)
    return { precision: request, reason: "asked for; this CPU has no float16 matrix units, so products are computed as a tensor core would: operands rounded to half, float32 sums, result rounded" };
  if (request === "bf16-mixed" && !hardware.bf16) return { precision: request, reason: "asked for; this hardware has no bfloat16 matrix units and will be slow" };
  return { precision: request, reason: "asked for" };
}
