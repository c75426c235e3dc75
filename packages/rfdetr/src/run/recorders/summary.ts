// Writes `summary.json` of a run.
import type { RunDirectory, RunSummary } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import type { Recorder } from "./recorder.js";

/** `summary.json`: how the run ended. */
export class SummaryRecorder implements Recorder {
  readonly #directory: RunDirectory;

  constructor({ directory }: Session) {
    this.#directory = directory;
  }

  end(summary: RunSummary): void {
    this.#directory.writeJson("summary.json", summary);
  }
}
