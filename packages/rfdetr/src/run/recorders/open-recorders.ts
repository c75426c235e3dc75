// The list of all recorders of a run.
import type { Session } from "../session/session.js";
import { EvaluationRecorder } from "./evaluation.js";
import { MetricsRecorder } from "./metrics.js";
import { NumericsRecorder } from "./numerics.js";
import { PicturesRecorder } from "./pictures.js";
import type { Recorder } from "./recorder.js";
import { SummaryRecorder } from "./summary.js";
import { TensorBoardRecorder } from "./tensorboard.js";
import { unfailing } from "./unfailing.js";
import { WeightsRecorder } from "./weights.js";

/**
 * Everything that writes down a run, in the order in which it is called. Weights come first: a row of metrics.csv says
 * "best" of weights that exist.
 */
export function openRecorders(session: Session): Recorder[] {
  return [
    new WeightsRecorder(session),
    unfailing(session, (of) => new NumericsRecorder(of)),
    unfailing(session, (of) => new MetricsRecorder(of)),
    unfailing(session, (of) => new EvaluationRecorder(of)),
    ...(session.settings.tensorboard ? [unfailing(session, (of) => new TensorBoardRecorder(of))] : []),
    ...(session.settings.plots ? [unfailing(session, (of) => new PicturesRecorder(of))] : []),
    unfailing(session, (of) => new SummaryRecorder(of)),
  ];
}
