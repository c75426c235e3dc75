// Writes `evaluation.json`, `evaluation-best.json` and `test.json` of a run.
import { writeDetails } from "../../eval/details/details-file.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import type { RunDirectory } from "../files/run-directory.js";
import type { Session } from "../session/session.js";
import type { RecordedEpoch, Recorder } from "./recorder.js";

/**
 * `evaluation.json`: the last evaluation of the weights that would be shipped, with everything that explains it;
 * `evaluation-best.json`: that of the best weights; `test.json`: that of the test split.
 */
export class EvaluationRecorder implements Recorder {
  readonly #directory: RunDirectory;

  constructor({ directory }: Session) {
    this.#directory = directory;
  }

  epoch({ event: { best }, summaryDetails, details }: RecordedEpoch): void {
    if (summaryDetails !== null) writeDetails(this.#directory.file("evaluation.json"), summaryDetails);
    if (best && details !== null) writeDetails(this.#directory.file("evaluation-best.json"), details);
  }

  test(details: EvaluationDetails): void {
    writeDetails(this.#directory.file("test.json"), details);
  }
}
