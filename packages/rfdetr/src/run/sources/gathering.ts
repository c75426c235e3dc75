// Writes custom datasets before the run that trains on them, and reports the progress as events of the run.
import { dirname, resolve } from "node:path";
import type { GivenData } from "../../data/custom/data-path.js";
import type { TrainSettings } from "../../settings/settings.js";
import { DataError } from "../../support/errors.js";
import type { StopRequest } from "../control/stop-request.js";
import type { TrainEvent } from "../events/events.js";
import { longWait, waitsFor } from "../waits.js";

/** Milliseconds between two events about the rows that are read. */
const every = 1000;

interface Gathering {
  settings: TrainSettings | null;
  /** Folder of the run that is continued. */
  resume: string | null;
  stop: StopRequest;
  emit: (event: TrainEvent) => void;
}

/**
 * @returns the path of the data, beside the folder of the run
 * @throws DataError naming the row at fault; if the run is stopped meanwhile
 */
export async function gathering(data: GivenData, { settings, resume, stop, emit }: Gathering): Promise<string> {
  const { dataPath } = await import("../../data/custom/data-path.js");
  const stopped = new AbortController();
  const abort = () => stopped.abort(new DataError("Reading the data was stopped: nothing was trained"));
  const off = stop.onAsk(abort);
  if (stop.asked) abort();
  const run = resume ?? settings?.outputDir ?? null;
  let told = performance.now();
  let [last, isLate] = ["", false];
  const clock = setTimeout(() => {
    isLate = true;
    emit({ type: "warning", message: waitsFor(`a row of its custom dataset${last}`) });
  }, longWait).unref();
  try {
    return await dataPath(data, run === null ? "runs" : dirname(resolve(run)), {
      ...(settings === null ? {} : { autoOrient: settings.autoOrient }),
      signal: stopped.signal,
      onProgress: (split, done, total) => {
        last = `, after ${done} of the ${split} dataset`;
        if (!isLate) clock.refresh();
        if (performance.now() - told < every) return;
        told = performance.now();
        emit({
          type: "preparing",
          what: `reading the ${split} data: ${done}${total === null ? "" : ` of ${total}`} images`,
        });
      },
    });
  } finally {
    clearTimeout(clock);
    off();
  }
}
