import type { Session } from "../session/session.js";
import { EvaluationRecorder } from "./evaluation.js";
import { MetricsRecorder } from "./metrics.js";
import { NumericsRecorder } from "./numerics.js";
import type { Recorder } from "./recorder.js";
import { SummaryRecorder } from "./summary.js";
import { TensorBoardRecorder } from "./tensorboard.js";
import { WeightsRecorder } from "./weights.js";

/**
 * Everything that writes down a run, in the order in which it is called. Weights come first: a row of metrics.csv says
 * "best" of weights that exist.
 * @throws RunDirectoryError when the folder cannot be written
 */
export function openRecorders(session: Session): Recorder[] {
  return [
    new WeightsRecorder(session),
    new NumericsRecorder(session),
    new MetricsRecorder(session),
    new EvaluationRecorder(session),
    ...(session.settings.tensorboard ? [new TensorBoardRecorder(session)] : []),
    new SummaryRecorder(session),
  ];
}
