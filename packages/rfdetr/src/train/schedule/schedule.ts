// The learning rate over the run: linear warm-up, then a step, a cosine or a line.
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
 * Factor of the learning rate at an optimizer step (counted from 0). During warm-up it is step / warm-up steps, so the
 * first step has rate 0, as in the package (`rfdetr.training.module_model`). Then it is constant with one drop, or
 * falls to `minFactor` along a cosine or a line. Steps after the end keep the last value.
 *
 * @example
 * const settings = { lr: 1e-4, lrScheduler: "cosine", lrDrop: 100, minFactor: 0, warmupEpochs: 1 } as const;
 * const factors = Array.from({ length: 1000 }, (_, step) => scheduleFactor(step, settings, 100, 1000));
 */
export function scheduleFactor(
  step: number,
  settings: ScheduleSettings,
  stepsPerEpoch: number,
  totalSteps: number,
): number {
  const warmup = Math.floor(stepsPerEpoch * settings.warmupEpochs);
  if (step < warmup) return step / Math.max(1, warmup);
  if (settings.lrScheduler === "step") return step < settings.lrDrop * stepsPerEpoch ? 1 : 0.1;
  const progress = Math.min(1, (step - warmup) / Math.max(1, totalSteps - warmup));
  const left = settings.lrScheduler === "cosine" ? (1 + Math.cos(Math.PI * progress)) / 2 : 1 - progress;
  return settings.minFactor + (1 - settings.minFactor) * left;
}

/**
 * Sets the learning rates of an optimizer's groups. Its steps are the applied ones; skipped steps do not advance it.
 */
export class Schedule {
  readonly #initial = new WeakMap<optim.ParameterGroup, number>();
  constructor(
    readonly settings: ScheduleSettings,
    readonly stepsPerEpoch: number,
    /** The step at which the rate has fallen; it may change as a run goes on. */
    public totalSteps: number,
  ) {}

  /** The learning rate at a step of groups that have no factor of their own. */
  baseRate(step: number): number {
    return this.settings.lr * scheduleFactor(step, this.settings, this.stepsPerEpoch, this.totalSteps);
  }

  /**
   * Sets the learning rates of all groups for a step.
   * @param lowered factor of all rates after rollbacks
   * @returns {@link baseRate} times `lowered`
   */
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
