// Downloads published weights before the run that starts from them, and reports the progress as events of the run.
import { formatBytes } from "@rfdetr/amp/text";
import type { TrainSettings } from "../../settings/settings.js";
import { CheckpointError } from "../../support/errors.js";
import type { StopRequest } from "../control/stop-request.js";
import type { TrainEvent } from "../events/events.js";

/** Milliseconds between two events about a download. */
const every = 1000;

/**
 * @returns the settings with the path of the weights
 * @throws CheckpointError if they cannot be had, or the run is stopped meanwhile
 */
export async function downloading(
  settings: TrainSettings,
  stop: StopRequest,
  emit: (event: TrainEvent) => void,
): Promise<TrainSettings> {
  if (settings.weights === null) return settings;
  const { fetchWeights } = await import("./fetch-weights.js");
  const stopped = new AbortController();
  const abort = () =>
    stopped.abort(new CheckpointError("The download of the weights was stopped: the next one goes on from there"));
  const off = stop.onAsk(abort);
  if (stop.asked) abort();
  let told = Number.NEGATIVE_INFINITY;
  try {
    return await fetchWeights(settings, {
      signal: stopped.signal,
      progress: (done, total) => {
        if (performance.now() - told < every && done !== total) return;
        told = performance.now();
        const share = total === null ? "" : ` of ${formatBytes(total)}`;
        emit({ type: "preparing", what: `downloading the weights of ${settings.model}: ${formatBytes(done)}${share}` });
      },
    });
  } finally {
    off();
  }
}
