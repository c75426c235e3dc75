// The default path of an exported file.
import { basename, dirname, extname, join, resolve } from "node:path";
import { weightsFolder } from "../weights/published/published-weights.js";
import type { ExportPrecision } from "./export-precisions.js";

/**
 * Beside the weights, with their name and what the file is: `best.onnx`, `best-fp16.onnx`, `best-gathers.onnx`. In the
 * current folder for published weights, which lie in a cache.
 */
export function defaultOut(
  weights: string,
  { precision, gridSample = true }: { precision: ExportPrecision; gridSample?: boolean },
): string {
  const folder = dirname(weights);
  const name = [
    basename(weights, extname(weights)),
    ...(precision === "fp32" ? [] : [precision]),
    ...(gridSample ? [] : ["gathers"]),
  ].join("-");
  return join(resolve(folder) === resolve(weightsFolder()) ? "." : folder, `${name}.onnx`);
}
