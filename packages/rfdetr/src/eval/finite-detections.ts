// Leaves out detections that are not finite. A model that diverged, or overflows in float16, still has figures: those
// of a model that finds nothing there.
import type { ScoredBoxes } from "../model/images/postprocess.js";

/** @returns the detections with finite scores and boxes, and the number of the others */
export function finiteDetections(found: ScoredBoxes): { kept: ScoredBoxes; dropped: number } {
  const { boxes, scores, labels, masks } = found;
  if (scores.every(Number.isFinite) && boxes.every(Number.isFinite)) return { kept: found, dropped: 0 };
  const finite = (i: number): boolean =>
    Number.isFinite(scores[i]) && boxes.subarray(i * 4, i * 4 + 4).every(Number.isFinite);
  const rows = [...scores.keys()].filter(finite);
  const kept = {
    boxes: Float32Array.from(rows.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(rows, (i) => scores[i]),
    labels: Int32Array.from(rows, (i) => labels[i]),
    ...(masks === undefined ? {} : { masks: rows.map((i) => masks[i]) }),
  };
  return { kept, dropped: scores.length - rows.length };
}

/** Why results are not finite. */
interface NotFinite {
  /** The cause, as the end of a sentence. */
  cause: string;
  /** What helps; absent where nothing but other weights does. */
  hint?: string;
}

/**
 * Why results of weights are not finite. Of the precisions, float16 alone has a smaller range than float32: no other
 * gives finite results where bfloat16 or TF32 do not.
 * @param precision that they were computed in; of an exported file, the one of its export
 * @param numberFormat that linear layers were emulated in
 */
export function whyNotFinite(precision: string, numberFormat: string | null = null): NotFinite {
  const damaged = "its weights are damaged, or overflow in float32";
  if (numberFormat !== null)
    return {
      cause: `the model overflows in ${numberFormat}`,
      hint: "Take `number_format` none, which emulates no format",
    };
  switch (precision) {
    case "16-mixed":
      return {
        cause: "the model overflows in 16-mixed",
        hint: "Take `precision` 32-true or bf16-mixed, which have a larger range",
      };
    case "fp16":
    case "int8":
      return { cause: `the model overflows in ${precision}`, hint: "Export it in fp32" };
    case "bf16-mixed":
    case "tf32":
      return { cause: `${damaged}, whose range ${precision} has` };
    default:
      return { cause: damaged };
  }
}
