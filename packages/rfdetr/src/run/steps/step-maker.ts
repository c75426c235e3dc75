// The steps of a run: each is taken, recorded and reported, and run again with observers where it was faulty.

import { type Shape, shapeOf } from "../../support/shape.js";
import { replayStep } from "../../train/measure/replay.js";
import { scaleOfStep } from "../../train/schedule/multi-scale.js";
import type { StepResult } from "../../train/step/step.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import { boxesOfEach } from "../../train/step/whole-step.js";
import type { StepEvent, StepFault, TrainEvent } from "../events/events.js";
import { stepEvent } from "../events/make-events.js";
import { afterFault, type FaultyRun } from "../faults/after-fault.js";
import type { Leader } from "../ranks/leader.js";
import { addMetrics, addStep, lrFactorOf, stepsLeft } from "./progress.js";
import { SpeedMeter, secondsLeft } from "./speed.js";
import { StepWatch } from "./step-watch.js";
import { type StepPlan, takeStep, wholeStepOf } from "./take-step.js";
import { TimeBudget } from "./time-budget.js";
import { watchInterval } from "./watch-interval.js";

/** Makes the optimizer steps of a run. */
export class StepMaker {
  readonly #speed = new SpeedMeter();
  readonly #watch: StepWatch;
  readonly budget: TimeBudget;
  /** When the last step ended, or the epoch began: waiting for data counts as training time. */
  #mark = 0;
  /** When the loader was last asked for a step, and how many seconds it took. */
  #asked = 0;
  #loaded = 0;
  /** Seconds of the last evaluation; null before the first of this process. */
  evaluationSeconds: number | null = null;
  /** Whether all that follows from the last step is done: only then is the state one to go on from. */
  settled = true;

  constructor(readonly run: FaultyRun) {
    const { session } = run;
    this.budget = new TimeBudget(session);
    this.#watch = new StepWatch(session.parts, session.ema, () => watchInterval(session));
  }

  /** Steps begin, or go on after a pause, which does not count as training. */
  begin(): void {
    this.#mark = performance.now();
    this.#asked = this.#mark;
    this.#speed.begin(this.#mark);
  }

  /** The loader is asked for a step. */
  asked(): void {
    this.#asked = performance.now();
  }

  /** The loader has brought the step it was asked for. */
  loaded(): void {
    this.#loaded = (performance.now() - this.#asked) / 1000;
  }

  /** Removes the observers of the step in progress. */
  close(): void {
    this.#watch.close();
  }

  /** @returns whether the run went back to its last checkpoint */
  async *make(microBatches: readonly MicroBatch[]): AsyncGenerator<TrainEvent, boolean> {
    const { session, recorders, faults, state } = this.run;
    const { parts, progress, leader } = session;
    const plan = this.#plan();
    const scale = parts.scaler.currentScale;
    const whole = wholeStepOf(session, plan, leader.beginStep(plan, boxesOfEach(microBatches)), leader.ranks);
    const { peers } = leader;
    peers?.next(this.#loaded, parts.scaler);
    const observer = this.#watch.begin(plan.step);
    const { result, lr } = takeStep(session, microBatches, plan, whole, { observer, peers });
    const seen = this.#watch.end();
    if (result.warning !== null) yield { type: "warning", message: result.warning };
    const now = performance.now();
    const seconds = (now - this.#mark) / 1000;
    progress.scaler = parts.scaler.enabled ? parts.scaler.stateDict() : null;
    this.settled = false;
    addStep(progress, result, result.images, seconds);
    const planned = this.budget.step(seconds);
    state.loss(result.loss);
    this.#mark = now;
    this.#speed.add(result.images, now);
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    const { step, size } = plan;
    const { precision } = session;
    const again = () => replayStep(parts, microBatches, { step, precision, files, scale, size, whole });
    const replayed = !result.applied && faults.wantsReplay() ? leader.replay(scale, again) : null;
    const report = replayed?.report ?? null;
    const { images: prepared, ...rest } = result.seconds;
    const phases = { load: this.#loaded + prepared, ...rest };
    const place = placeOf(replayed);
    const made = this.#event(result, {
      lr,
      scale,
      place,
      size: plan.size ?? shapeOf(microBatches[0].height, microBatches[0].width),
    });
    const event = await this.#heard(made, result, files);
    const ranks = peers?.steps ?? null;
    const recorded = { event, result, microBatches, scale, seconds, phases, ranks, files, report, seen };
    for (const recorder of recorders) recorder.step?.(recorded);
    for (const message of session.warnings.splice(0)) yield { type: "warning", message };
    yield event;
    if (planned !== null) yield { type: "note", message: planned };
    const wentBack = result.applied ? false : yield* afterFault(this.run, result, scale, report);
    if (result.applied) faults.applied();
    this.settled = true;
    return wentBack;
  }

  #plan(): StepPlan {
    const { settings, ema, scales, progress, totalSteps } = this.run.session;
    const { applied } = progress;
    return {
      step: progress.step + 1,
      applied,
      totalSteps,
      lrFactor: lrFactorOf(this.run.session),
      size: scales === null ? null : scaleOfStep(applied, scales),
      averages: ema !== null && (applied + 1) % settings.emaUpdateInterval === 0,
    };
  }

  /** The event with what callbacks have to say of the step. */
  async #heard(event: StepEvent, { terms }: StepResult, files: readonly string[]): Promise<StepEvent> {
    const { callbacks, progress } = this.run.session;
    if (callbacks === null) return event;
    const metrics = await callbacks.step({ ...event, terms: Object.fromEntries(terms), files });
    addMetrics(progress, metrics);
    return { ...event, metrics };
  }

  #event(
    result: StepResult,
    figures: { lr: number; scale: number; place: Omit<StepFault, "what" | "scale">; size: Shape },
  ): Extract<TrainEvent, { type: "step" }> {
    const { session } = this.run;
    return stepEvent(session, result, {
      ...figures,
      plannedEpochs: this.budget.plannedEpochs,
      imagesPerSecond: this.#speed.perSecond,
      secondsLeft: Math.min(
        Math.max(0, this.budget.left),
        secondsLeft(session, stepsLeft(session), {
          images: result.images,
          speed: this.#speed,
          evaluation: this.evaluationSeconds,
        }),
      ),
    });
  }
}

/** Where a faulty step first was not finite, as far as running it again has told. */
function placeOf(replayed: ReturnType<Leader["replay"]> | null): Omit<StepFault, "what" | "scale"> {
  if (replayed === null) return { module: null };
  const { report, rank } = replayed;
  const ofLoss = report.phase === "target" || report.phase === "loss";
  return {
    module: report.module,
    ...(rank === null ? {} : { rank }),
    ...(ofLoss && report.files.length === 1 ? { image: report.files[0] } : {}),
  };
}
