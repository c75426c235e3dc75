// Chooses the precision of training and gives the reason. The names of the precisions are Lightning's.

import { PrecisionError } from "../errors.js";
import { type Precision, precisions } from "../names.js";
import { type Hardware, readHardware } from "./hardware.js";

/**
 * The precisions that a device can compute in.
 * @param device a device such as `cpu` or `cuda:0`, or hardware that was read before
 */
export function precisionsOf(device: string | Hardware): Precision[] {
  const hardware = typeof device === "string" ? readHardware(device) : device;
  return precisions.filter((precision) => precision !== "tf32" || hasTf32(hardware));
}

/** TF32 came with the bfloat16 units. */
const hasTf32 = (hardware: Hardware): boolean => hardware.device === "cuda" && hardware.bf16;

/** The precision that a user asks for: true means `auto`, false and null mean `32-true`. */
export type PrecisionRequest = Precision | "auto" | boolean | null;

/** The precision that a request resolves to, and why. */
export interface ResolvedPrecision {
  precision: Precision;
  /** Why this precision was chosen: a sentence fragment to print. */
  reason: string;
  /** What the user should know about this precision on this hardware; null when there is nothing to say. */
  note: string | null;
}

/** A row of {@link autoTable}. */
interface AutoRow {
  /** Whether the row applies to this hardware. */
  fits: (hardware: Hardware) => boolean;
  /** The hardware in words. */
  hardware: string;
  precision: Precision;
  reason: string;
}

/** The rules behind the request `auto`: the first row that fits the hardware decides. */
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
    fits: (h) => h.features.includes("amx_bf16"),
    hardware: "CPU with amx_bf16",
    precision: "bf16-mixed",
    reason: "this CPU multiplies bfloat16 in matrix units, and bfloat16 takes less memory in training",
  },
  {
    fits: (h) => h.bf16,
    hardware: "CPU with avx512_bf16, or an ARM CPU with bf16 and i8mm",
    precision: "bf16-mixed",
    reason: "this CPU multiplies bfloat16 natively, and bfloat16 takes less memory in training",
  },
  {
    fits: (h) => h.kernels,
    hardware: "CPU with AVX2 and FMA",
    precision: "bf16-mixed",
    reason: "bfloat16 takes less memory in training, and products in it are about as fast as in float32 on this CPU",
  },
  {
    fits: () => true,
    hardware: "any other CPU",
    precision: "32-true",
    reason: "this CPU has neither units nor kernels for bfloat16 and float16: both would be slower than float32",
  },
];

const emulationNote =
  "This CPU has no float16 matrix units. Products are computed as a tensor core computes them: operands rounded to float16, sums in float32, result rounded to float16. This is slower than 32-true and needs more memory.";

/**
 * Resolves a request to a precision.
 * @param device a device such as `cpu` or `cuda:0`, or hardware that was read before
 * @returns the precision, the reason and a note, both in words to print
 * @throws PrecisionError for an unknown name, and for `tf32` on hardware without TF32
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
  if (request === "tf32" && !hasTf32(hardware))
    throw new PrecisionError(
      `Expected an NVIDIA GPU of compute capability 8.0 or above for precision tf32 but received ${hardware.name}, which has no TF32 units: choose one of ${precisionsOf(hardware).join(", ")}`,
    );
  return { precision: request, reason: "as requested", note: noteOn(request, hardware) };
}

function noteOn(precision: Precision, hardware: Hardware): string | null {
  if (precision === "16-mixed" && !hardware.fp16) return emulationNote;
  if (precision === "bf16-mixed" && !hardware.bf16 && !hardware.kernels)
    return `This ${hardware.device === "cpu" ? "CPU" : "GPU"} has no bfloat16 matrix units: bf16-mixed saves memory in training but is slower than 32-true.`;
  return null;
}
