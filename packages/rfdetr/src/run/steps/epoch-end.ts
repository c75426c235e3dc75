// The end of an epoch: its evaluation, what is recorded of it, and whether training goes on.
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import type { EarlyStopping } from "../../train/schedule/early-stopping.js";
import type { RunControl } from "../control/run-control.js";
import type { EpochEvent, TrainEvent } from "../events/events.js";
import { endOfSteps, epochEvent } from "../events/make-events.js";
import type { EpochHealth } from "../faults/epoch-health.js";
import type { StateKeeper } from "../faults/state-keeper.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { RunSummary } from "../files/run-directory.js";
import { drawPictures } from "../recorders/draw-pictures.js";
import type { Recorder } from "../recorders/recorder.js";
import type { Session } from "../session/session.js";
import { judgeEpoch } from "./best-weights.js";
import type { Notices } from "./notices.js";
import { emptySums, metricMeans, stepsLeft } from "./progress.js";
import { type EpochFigures, evaluateEpoch, notEvaluated } from "./scheduled-evaluation.js";
import type { StepMaker } from "./step-maker.js";

/** Why a run ends. */
export type StopReason = RunSummary["stop_reason"];

/** What the end of an epoch uses of the run. */
interface RunParts {
  session: Session;
  recorders: readonly Recorder[];
  state: StateKeeper;
  stopping: EarlyStopping | null;
  health: EpochHealth;
  steps: StepMaker;
  control: RunControl;
  notices: Notices;
}

/** Ends the epochs of a run. */
export class EpochEnd {
  constructor(readonly run: RunParts) {}

  /**
   * Evaluates the epoch, has it recorded and moves on to the next.
   * @returns why training ends here, or null where it goes on
   */
  async *take(): AsyncGenerator<TrainEvent, StopReason | null> {
    const { session, recorders, state, steps, control, health, notices } = this.run;
    const { settings, progress } = session;
    const epoch = progress.epoch + 1;
    yield* state.repair();
    session.leader.compareWeights(session);
    const began = performance.now();
    const figures = this.#due(epoch) ? yield* evaluateEpoch(session, () => control.lookForStop()) : notEvaluated;
    yield* notices.leftOut();
    if (figures === null) return "interrupted";
    const evaluationSeconds = (performance.now() - began) / 1000;
    if (figures.summary !== null) steps.evaluationSeconds = evaluationSeconds;
    const usable = yield* health.usable(figures);
    const { healthy, diverged } = state;
    const before = progress.best?.figure ?? null;
    const verdict = judgeEpoch(settings, epoch, before, figures, { usable, healthy: !diverged });
    const { chosen, baseWins, figure, watched, best } = verdict;
    const { plannedEpochs } = steps.budget;
    const event = await this.#heard(epochEvent(session, { figures, best, evaluationSeconds, plannedEpochs }), figures);
    const details = baseWins ? figures.baseDetails : figures.summaryDetails;
    for (const recorder of recorders) recorder.epoch?.({ event, ...figures, chosen, details, baseWins, usable });
    await drawPictures(recorders);
    yield* notices.warnings();
    if (best && figure !== null && chosen !== null) progress.best = bestOf(epoch, figure, chosen);
    progress.epoch = epoch;
    progress.stepInEpoch = 0;
    progress.epochSums = emptySums();
    if (progress.rollbacks !== undefined && healthy) progress.rollbacks.inEpoch = 0;
    steps.budget.epoch((performance.now() - began) / 1000, figures.summary !== null);
    const reason = this.#reasonToEnd(epoch, watched);
    yield event;
    return reason;
  }

  /** Whether the epoch is evaluated. */
  #due(epoch: number): boolean {
    const { session } = this.run;
    const { settings, callbacks } = session;
    return (
      epoch >= settings.epochs ||
      stepsLeft(session) <= 0 ||
      epoch % settings.evalInterval === 0 ||
      (callbacks !== null && callbacks.stopped !== null)
    );
  }

  /** @param watched the figure that early stopping watches */
  #reasonToEnd(epoch: number, watched: number | null): StopReason | null {
    const { session, stopping } = this.run;
    const { settings, callbacks, progress } = session;
    if (stepsLeft(session) <= 0) return endOfSteps(session);
    if (epoch >= settings.epochs) return "finished";
    if (callbacks !== null && callbacks.stopped !== null) return "callback";
    if (watched === null || stopping === null || epoch <= settings.skipBestEpochs) return null;
    const ends = stopping.update(watched);
    progress.earlyStopping = stopping.state();
    return ends ? "early_stopping" : null;
  }

  /** The event of an epoch with what callbacks have to say of it. */
  async #heard(event: EpochEvent, { summary, base, loss }: EpochFigures): Promise<EpochEvent> {
    const { callbacks, progress } = this.run.session;
    if (callbacks === null) return event;
    const { epoch, step } = event;
    const metrics = metricMeans(progress.epochSums);
    if (summary !== null) Object.assign(metrics, await callbacks.evaluation({ epoch, step, summary, base, loss }));
    Object.assign(metrics, await callbacks.epochEnd({ ...event, metrics: { ...metrics } }));
    return { ...event, metrics };
  }
}

/** What is remembered of the best weights. */
function bestOf(epoch: number, figure: number, { AP, AP50, masks }: CocoSummary): SavedProgress["best"] {
  return {
    figure,
    epoch,
    AP,
    AP50,
    ...(masks === undefined ? {} : { masks: { AP: masks.AP, AP50: masks.AP50 } }),
  };
}
