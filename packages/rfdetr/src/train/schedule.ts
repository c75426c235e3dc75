// The learning rate over the run: warm-up, then a shape.
import type { optim } from "@rfdetr/torch";

/** Settings that decide the learning rate of every step. */
export interface ScheduleSettings {
  lr: number;
  lrScheduler: "step" | "cosine" | "linear";
  /** Epoch after which `step` divides by ten. */
  lrDrop: number;
  /** Share of the learning rate that `cosine` and `linear` end at. */
  minFactor: number;
  warmupEpochs: number;
}

/**
 * Factor of the learning rate at an optimizer step (counted from 0): t/warm-up while warming up, so the first step has rate 0, as in
 * the package (`rfdetr.training.module_model`); then constant with one drop, or down to `minFactor` by a cosine or a line. Steps past
 * the end keep the last value.
 */
export function scheduleFactor(step: number, settings: ScheduleSettings, stepsPerEpoch: number, totalSteps: number): number {
  const warmup = Math.floor(stepsPerEpoch * settings.warmupEpochs);
  if (step < warmup) return step / Math.max(1, warmup);
  if (settings.lrScheduler === "step") return step < settings.lrDrop * stepsPerEpoch ? 1 : 0.1;
  const progress = Math.min(1, (step - warmup) / Math.max(1, totalSteps - warmup));
  const left = settings.lrScheduler === "cosine" ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return settings.minFactor + (1 - settings.minFactor) * left;
}

/** A schedule over an optimizer's groups. It advances with applied steps only. */
export class Schedule {
  readonly #initial = new WeakMap<optim.ParameterGroup, number>();
  constructor(
    readonly settings: ScheduleSettings,
    readonly stepsPerEpoch: number,
    readonly totalSteps: number,
  ) {}

  /** The rate of groups without a factor of their own, at a step. */
  baseRate(step: number): number {
    return this.settings.lr * scheduleFactor(step, this.settings, this.stepsPerEpoch, this.totalSteps);
  }

  /** Sets the rates of all groups for a step, times `lowered` (after a rollback). @returns {@link baseRate}, times it too */
  apply(optimizer: optim.AdamW, step: number, lowered = 1): number {
    const factor = lowered * scheduleFactor(step, this.settings, this.stepsPerEpoch, this.totalSteps);
    for (const group of optimizer.groups) {
      const initial = this.#initial.get(group) ?? group.lr;
      this.#initial.set(group, initial);
      group.lr = initial * factor;
    }
    return this.settings.lr * factor;
  }
}
