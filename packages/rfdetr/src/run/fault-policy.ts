// What a run does about a step whose loss or gradients were not finite.
import type { OverflowReport } from "@rfdetr/amp";
import { NumericsError } from "../support/errors.js";
import type { StepResult } from "../train/step.js";

export type FaultPolicy = "skip" | "stop" | "rollback";

/** Steps in a row that change nothing before a run is given up. */
const hopeless = 50;
/** Skipped steps that are run again to find the place of the fault; a hopeless run would spend its time on nothing else. */
const replays = 20;
/** Times that a run goes back within one epoch: lower learning rates have not helped then. */
export const mostRollbacks = 5;

/** What is to happen, with the words for the user; null where nothing needs to be said. */
export interface Verdict {
  action: FaultPolicy;
  message: string | null;
}

/** Counts the faults of a run and decides about each. */
export class FaultJudge {
  #wasted = 0;
  #replays = 0;

  constructor(readonly policy: FaultPolicy) {}

  /** Whether the next fault is worth running the step again for its place. */
  wantsReplay(): boolean {
    return this.#replays++ < replays;
  }

  /** A step was applied. */
  applied(): void {
    this.#wasted = 0;
  }

  /**
   * Decides about a step that was not applied. The loss scale explains a gradient that overflowed while the loss was finite: finding the scale
   * takes such steps, and they are skipped under every policy.
   * @param scale loss scale of the step; 1 where gradients are not scaled
   * @throws NumericsError after fifty steps in a row that changed nothing
   */
  judge(step: number, result: StepResult, scale: number, report: OverflowReport | null): Verdict {
    this.#wasted++;
    const fault = result.fault?.what ?? "step";
    if (this.#wasted >= hopeless)
      throw new NumericsError(`${hopeless} steps in a row were not finite (last: ${fault})`, {
        hint: "Lower `lr`, or train with `precision` 32-true",
      });
    const explained = scale > 1 && Number.isFinite(result.loss);
    const began = report?.module ? `: it began in ${report.module}` : "";
    if (this.policy === "skip" || explained) {
      const message = this.#wasted === 1 && !explained ? `Step ${step} changed nothing, because the ${fault} is not finite${began}` : null;
      return { action: "skip", message };
    }
    return { action: this.policy, message: `The ${fault} of step ${step} is not finite${began}` };
  }
}
