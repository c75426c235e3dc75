// `log.txt` of a run: what it said, with the time, over all the times that it was continued.
import { RunDirectoryError } from "../../support/errors.js";
import type { TrainEvent } from "./events.js";
import type { RunDirectory } from "./run-directory.js";

const figure = (value: number | null): string => (value === null ? "–" : value.toFixed(4));

/** What the log says of an event; null for those that are too many. */
function textOf(event: TrainEvent): string | null {
  switch (event.type) {
    case "start": {
      const from = event.resumedAt === null ? "begins" : `continues after step ${event.resumedAt}`;
      return `${event.model} ${from}: ${event.epochs} epochs of ${event.stepsPerEpoch} steps, ${event.precision} on ${event.device}, libtorch ${event.engine}`;
    }
    case "note":
    case "warning":
      return `${event.type}: ${event.message}`;
    case "epoch":
      return `epoch ${event.epoch} of ${event.epochs}, step ${event.step}: loss ${figure(event.loss)}, AP ${figure(event.ap)}, AP50 ${figure(event.ap50)}${event.best ? ", best" : ""}`;
    case "test":
      return `test split: AP ${figure(event.ap)}, AP50 ${figure(event.ap50)}`;
    case "done":
      return `ends after step ${event.summary.steps}: ${event.summary.stop_reason}`;
    default:
      return null;
  }
}

/** Writes the events of a run into its `log.txt`, as they pass. A log that cannot be written is left out. */
export async function* logged(
  directory: RunDirectory,
  events: AsyncGenerator<TrainEvent, void>,
): AsyncGenerator<TrainEvent, void> {
  const write = (text: string): void => {
    try {
      // Names of files and classes may hold control characters, which a terminal would obey.
      directory.append("log.txt", `${new Date().toISOString()} ${text.replace(/\p{Cc}/gu, " ")}\n`);
    } catch (error) {
      if (!(error instanceof RunDirectoryError)) throw error;
    }
  };
  try {
    for await (const event of events) {
      const text = textOf(event);
      if (text !== null) write(text);
      yield event;
    }
  } catch (error) {
    write(`failed: ${error instanceof Error ? error.message : String(error)}`);
    throw error;
  }
}
