import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import type { RunDirectory } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import type { RecordedEpoch, Recorder } from "./recorder.js";

/**
 * `evaluation.json`: all figures of the last evaluation, every class included; `test.json`: those of the test split.
 */
export class EvaluationRecorder implements Recorder {
  readonly #directory: RunDirectory;

  constructor({ directory }: Session) {
    this.#directory = directory;
  }

  epoch({ summary }: RecordedEpoch): void {
    if (summary !== null) this.#directory.writeJson("evaluation.json", summary);
  }

  test(summary: CocoSummary): void {
    this.#directory.writeJson("test.json", summary);
  }
}
