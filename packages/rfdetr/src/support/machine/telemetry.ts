// This program sends no telemetry, and neither does what it loads.

/**
 * Keeps onnxruntime from reporting models and runs to its maker, and from leaving a log of that in the folder for
 * temporary files: it does both unless this variable is set before it is loaded. A caller who wants it sets 0. The
 * variables of a thread are copies that libraries do not see, so the thread that starts one calls this before.
 */
export function refuseTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= "1";
}
