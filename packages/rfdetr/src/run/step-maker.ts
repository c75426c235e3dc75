// The steps of a run: each is made, recorded, told of, and run again where it was faulty.
import type { OverflowReport } from "@rfdetr/amp";
import { scaleOfStep } from "../train/multi-scale.js";
import { replayStep } from "../train/replay.js";
import { type StepResult, trainingStep } from "../train/step.js";
import type { MicroBatch } from "../train/step-parts.js";
import { boxesOfEach, meanBoxes, type WholeStep } from "../train/whole-step.js";
import { afterFault, type FaultyRun } from "./after-fault.js";
import type { TrainEvent } from "./files/events.js";
import { stepEvent } from "./make-events.js";
import { addStep, stepsLeft } from "./progress.js";
import { SpeedMeter, secondsLeft } from "./speed.js";
import { StepWatch } from "./step-watch.js";

/** What is decided about a step before it is made. */
interface StepPlan {
  /** Its number, from 1. */
  step: number;
  lr: number;
  /** Side length of the images in pixels; null keeps their size. */
  size: number | null;
  /** Loss scale; 1 where gradients are not scaled. */
  scale: number;
  /** Whether the moving average is updated if the step is applied. */
  averages: boolean;
  whole: WholeStep;
}

/** Makes the optimizer steps of a run. */
export class StepMaker {
  readonly #speed = new SpeedMeter();
  readonly #watch: StepWatch;
  /** When the last step ended, or the epoch began: waiting for data counts as training time. */
  #mark = 0;
  /** When the loader was last asked for a step, and how many seconds it took. */
  #asked = 0;
  #loaded = 0;
  /** Seconds of the last evaluation. */
  evaluationSeconds = 0;

  constructor(readonly run: FaultyRun) {
    const { parts, ema, settings } = run.session;
    this.#watch = new StepWatch(parts, ema, settings.monitorInterval);
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
  *make(microBatches: readonly MicroBatch[]): Generator<TrainEvent, boolean> {
    const { session, recorders, faults, state } = this.run;
    const { parts, ema, progress } = session;
    const plan = this.#plan(microBatches);
    const { size, scale, whole } = plan;
    const observer = this.#watch.begin(plan.step);
    const result = trainingStep(parts, microBatches, size, plan.averages ? ema : null, observer, whole);
    const seen = this.#watch.end();
    if (result.warning !== null) yield { type: "warning", message: result.warning };
    const images = microBatches.reduce((sum, { targets }) => sum + targets.length, 0);
    const now = performance.now();
    const seconds = (now - this.#mark) / 1000;
    progress.scaler = parts.scaler.enabled ? parts.scaler.stateDict() : null;
    addStep(progress, result, images, seconds);
    state.loss(result.loss);
    this.#mark = now;
    this.#speed.add(images, now);
    const files = microBatches.flatMap((batch) => batch.files ?? []);
    const report = !result.applied && faults.wantsReplay() ? this.#replay(microBatches, plan, files) : null;
    const { images: prepared, ...rest } = result.seconds;
    const phases = { load: this.#loaded + prepared, ...rest };
    const event = this.#event(result, plan, { module: report?.module ?? null, side: microBatches[0].height, images });
    const recorded = { event, result, microBatches, scale, seconds, phases, ranks: null, files, report, seen };
    for (const recorder of recorders) recorder.step?.(recorded);
    for (const message of session.warnings.splice(0)) yield { type: "warning", message };
    yield event;
    if (!result.applied) return yield* afterFault(this.run, result, scale, report);
    faults.applied();
    return false;
  }

  #plan(microBatches: readonly MicroBatch[]): StepPlan {
    const { settings, schedule, parts, ema, scales, progress, seed } = this.run.session;
    const step = progress.step + 1;
    const boxes = settings.boxNormaliser === "step" ? meanBoxes(boxesOfEach(microBatches)) : null;
    return {
      step,
      lr: schedule.apply(parts.optimizer, progress.applied, progress.rollbacks?.lrFactor),
      size: scales === null ? null : scaleOfStep(progress.applied, scales),
      scale: parts.scaler.currentScale,
      averages: ema !== null && (progress.applied + 1) % settings.emaUpdateInterval === 0,
      whole: {
        microBatches: microBatches.length,
        numbers: [...microBatches.keys()],
        boxes,
        seed: [seed, step],
      },
    };
  }

  #replay(
    microBatches: readonly MicroBatch[],
    { step, size, scale, whole }: StepPlan,
    files: readonly string[],
  ): OverflowReport {
    const { parts, precision } = this.run.session;
    return replayStep(parts, microBatches, size, scale, { step, precision, files }, whole);
  }

  #event(
    result: StepResult,
    { lr, size, scale }: StepPlan,
    { module, side, images }: { module: string | null; side: number; images: number },
  ): Extract<TrainEvent, { type: "step" }> {
    const { session } = this.run;
    return stepEvent(session, result, {
      lr,
      size: size ?? side,
      scale,
      module,
      imagesPerSecond: this.#speed.perSecond,
      secondsLeft: secondsLeft(session, stepsLeft(session), {
        images,
        perSecond: this.#speed.perSecond,
        evaluation: this.evaluationSeconds,
      }),
    });
  }
}
