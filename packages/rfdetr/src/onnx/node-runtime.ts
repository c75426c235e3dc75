// onnxruntime-node, which is an optional dependency.
import { refuseTelemetry } from "../support/machine/telemetry.js";

/**
 * The command that installs it. Its script would fetch 300 MB for CUDA, which nothing here uses, from a host that many
 * proxies do not let through.
 */
export const installRuntime = "ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node";

/** Loads it. @throws the error of Node where it is not installed */
export function nodeRuntime(): Promise<typeof import("onnxruntime-node")> {
  refuseTelemetry();
  return import("onnxruntime-node");
}
