// What a run does about a step whose loss or gradients are not finite.
import { NumericsError } from "../../support/errors.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import type { StepResult } from "../../train/step/step.js";
import type { FaultCounts } from "../files/checkpoint/checkpoint.js";
import { remedy } from "./run-messages.js";

/** What to do about a faulty step: skip it, stop the run, or go back to the last checkpoint. */
export type FaultPolicy = "skip" | "stop" | "rollback";

/** The run is aborted after so many steps in a row that changed nothing. */
const hopeless = 50;
/**
 * Faulty steps that are run again to find the place of the fault. Without a limit, a hopeless run would spend half of
 * its time on them.
 */
const replays = 20;
/** Most rollbacks within one epoch. After these, a lower learning rate has not helped. */
export const mostRollbacks = 5;
/** The factor of all learning rates after a rollback: half, and a tenth of it each further time within an epoch. */
export function loweredRate(before: number, rollbacks: number): number {
  return Number((before / (rollbacks === 0 ? 2 : 10)).toPrecision(3));
}

/** What to do about a faulty step, and the words for what is more than a skip: the event of the step tells that. */
export type Verdict = {
  /** Whether the loss scale alone explains the fault. */
  explained: boolean;
} & ({ action: "skip" } | { action: "stop" | "rollback"; message: string });

/** Counts the faults of a run and decides about each. */
export class FaultJudge {
  /** The first step that changed nothing; null so far. */
  since: number | null;
  #wasted: number;
  #replays: number;

  constructor(
    readonly policy: FaultPolicy,
    { wasted, replays, since }: FaultCounts,
  ) {
    this.since = since;
    this.#wasted = wasted;
    this.#replays = replays;
  }

  /** What was counted so far. */
  state(): FaultCounts {
    return { wasted: this.#wasted, replays: this.#replays, since: this.since };
  }

  /** Whether the step of the next fault should be run again to find its place. Counts the call. */
  wantsReplay(): boolean {
    return this.#replays++ < replays;
  }

  /** Call after a step that was applied. */
  applied(): void {
    this.#wasted = 0;
  }

  /**
   * Decides about a step that was not applied. The loss scale explains a gradient that overflowed while the loss was
   * finite: finding the scale takes such steps, and they are skipped under every policy.
   * @param scale loss scale of the step; 1 where gradients are not scaled
   * @throws NumericsError after fifty steps in a row that changed nothing
   */
  judge(step: number, result: StepResult, scale: number, report: OverflowReport | null): Verdict {
    this.#wasted++;
    this.since ??= step;
    const fault = result.fault?.what ?? "step";
    if (this.#wasted >= hopeless)
      throw new NumericsError(
        `${hopeless} steps in a row were not finite, since step ${step - hopeless + 1} (last: ${fault})`,
        { hint: remedy },
      );
    const explained = scale > 1 && Number.isFinite(result.loss);
    const began = report?.module ? `: it began in ${report.module}` : "";
    if (this.policy === "skip" || explained) return { action: "skip", explained };
    return { action: this.policy, message: `The ${fault} of step ${step} is not finite${began}`, explained };
  }
}
