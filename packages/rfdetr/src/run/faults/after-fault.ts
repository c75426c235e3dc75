// What a run does after a step whose loss or gradients are not finite: go on, stop, or go back to its last checkpoint.

import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { EarlyStopping } from "../../train/schedule/early-stopping.js";
import type { StepResult } from "../../train/step/step.js";
import type { TrainEvent } from "../events/events.js";
import type { Recorder } from "../recorders/recorder.js";
import type { Session } from "../session/session.js";
import { type FaultJudge, mostRollbacks } from "./fault-policy.js";
import { stopped, wentBackInVain } from "./run-messages.js";
import type { StateKeeper } from "./state-keeper.js";

/** What of a run has to do with its faults. */
export interface FaultyRun {
  session: Session;
  recorders: readonly Recorder[];
  faults: FaultJudge;
  state: StateKeeper;
  stopping: EarlyStopping | null;
}

/**
 * Does what `on_non_finite` asks for.
 * @param scale loss scale of the step
 * @returns whether the run went back to its last checkpoint
 * @throws NumericsError where it stops
 */
export function* afterFault(
  { session, recorders, faults, state, stopping }: FaultyRun,
  result: StepResult,
  scale: number,
  report: OverflowReport | null,
): Generator<TrainEvent, boolean> {
  const { progress } = session;
  const verdict = faults.judge(progress.step, result, scale, report);
  // The step changed nothing, but an earlier one may have left the fault in the state.
  if (!verdict.explained && verdict.action !== "rollback") yield* state.repair();
  if (verdict.action === "skip") return false;
  const { action, message } = verdict;
  if (action === "stop") {
    state.save();
    throw stopped(message);
  }
  const tries = progress.rollbacks?.inEpoch ?? 0;
  if (tries >= mostRollbacks) throw wentBackInVain(message, tries);
  const from = progress.step;
  const to = state.rollBack();
  stopping?.load(progress.earlyStopping);
  const lrFactor = progress.rollbacks?.lrFactor ?? 1;
  for (const recorder of recorders) recorder.rollback?.({ from, to, lrFactor, fault: result.fault?.what ?? null });
  yield {
    type: "warning",
    message: `${message}. The run goes back to the state after step ${to}, with ${lrFactor} times the learning rate`,
  };
  yield* state.repair();
  yield state.save();
  return true;
}
