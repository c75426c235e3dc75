// onnxruntime-node, which is an optional dependency.
import { refuseTelemetry } from "../support/machine/telemetry.js";

/** Loads it. @throws the error of Node where it is not installed */
export function nodeRuntime(): Promise<typeof import("onnxruntime-node")> {
  refuseTelemetry();
  return import("onnxruntime-node");
}
