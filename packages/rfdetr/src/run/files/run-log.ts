// `log.txt` of a run: what the console showed, in plain text and with the time, over all the times that the run was
// continued.
import { RfdetrError, RunDirectoryError } from "../../support/errors.js";
import type { TrainEvent } from "../events/events.js";
import { Transcript } from "../transcript/transcript.js";
import type { RunDirectory } from "./run-directory.js";

/** The time that a line of the log begins with. */
export const logTime = (): string => `${new Date().toISOString().slice(0, 19)}Z`;

/**
 * Writes the events of a run into its `log.txt`, as they pass. A log that cannot be written is left out.
 * @param explained the error to throw for one that the run failed with
 */
export async function* logged(
  directory: RunDirectory,
  events: AsyncGenerator<TrainEvent, void>,
  explained: (error: unknown) => unknown = (error) => error,
): AsyncGenerator<TrainEvent, void> {
  const transcript = new Transcript();
  const write = (lines: readonly string[]): void => {
    const time = logTime();
    try {
      // Names of files and classes may hold control characters, which a terminal would obey.
      directory.append("log.txt", lines.map((line) => `${time} ${line.replace(/\p{Cc}/gu, " ")}\n`).join(""));
    } catch (error) {
      if (!(error instanceof RunDirectoryError)) throw error;
    }
  };
  try {
    for await (const event of events) {
      const lines = transcript.lines(event);
      if (lines.length > 0) write(lines);
      yield event;
    }
  } catch (thrown) {
    const error = explained(thrown);
    const hint = RfdetrError.is(error) && error.hint !== undefined ? [error.hint] : [];
    write([`error: ${error instanceof Error ? error.message : String(error)}`, ...hint]);
    throw error;
  }
}
