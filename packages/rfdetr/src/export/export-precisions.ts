// The precisions that a file can have.
import type { GoldenTolerance } from "../onnx/goldens.js";
import { UsageError } from "../support/errors.js";

/** Precision of an exported file. */
export type ExportPrecision = "fp32" | "fp16" | "int8";

/**
 * How far detections of a file may be from the model's in float32, in pixels of the input, in score, and in 1 − IoU of
 * the masks. A file is refused where more than one detection in {@link exceptions} is beyond.
 */
export const tolerances: Readonly<Record<ExportPrecision, Required<GoldenTolerance>>> = {
  fp32: { box_px: 0.1, score: 0.001, mask: 0.02 },
  fp16: { box_px: 1, score: 0.02, mask: 0.1 },
  int8: { box_px: 16, score: 0.3, mask: 0.4 },
};

/** The precisions by name. */
export const exportPrecisions = Object.keys(tolerances) as ExportPrecision[];

/**
 * One detection in so many may be beyond the tolerance: where two proposals have the same score but for rounding, they
 * change places, and each meets another learned query.
 */
export const exceptions = 50;

/**
 * Says why there are no files in bfloat16, which training has.
 * @throws UsageError for `bf16`
 */
export function refuseBfloat16(precision: string): void {
  if (precision === "bf16")
    throw new UsageError(
      "Expected fp32, fp16 or int8 for precision but received bf16: onnxruntime multiplies no bfloat16 matrices on a CPU, so such a file could not be proved; a runtime that computes in bfloat16, as OpenVINO does, takes an fp32 file",
    );
}
