// The end of a run that has a time to end in: how many steps fit into the time that is left.
import { clock, counted, grouped, hms } from "../../support/format.js";
import type { SavedProgress } from "../files/checkpoint/checkpoint.js";
import type { Session } from "../session/session.js";
import { stepsLeft } from "./progress.js";

/** Steps whose time tells how long the others take. The first ones of a process are slower. */
const [slow, measured] = [3, 10];

/** What is known of the speed of a run. Times in seconds. */
export interface RunSpeed {
  /** Of a step, waiting for its images included. */
  step: number;
  /** Of the end of an epoch with an evaluation. */
  evaluation: number;
  /** Steps from one evaluation to the next. */
  interval: number;
}

/** Seconds of a budget that a run has used: in steps, and at the ends of epochs. */
export function spentSeconds({ trainSeconds, endSeconds = 0 }: SavedProgress): number {
  return trainSeconds + endSeconds;
}

/**
 * The steps that fit into a time, with their evaluations and one at the end.
 * @param seconds that are left
 * @internal for tests
 */
export function stepsWithin(seconds: number, { step, evaluation, interval }: RunSpeed): number {
  return Math.max(0, Math.floor(((seconds - evaluation) * interval) / (step * interval + evaluation)));
}

/**
 * Plans the last step of a run from its speed: after its first steps, and after each evaluation. In between the plan
 * stands, so that the learning rate, which falls towards the last step, follows one curve. A checkpoint has the plan.
 */
export class TimeBudget {
  #seen = 0;
  #seconds = 0;
  /** Seconds of the longest evaluation so far; null before the first. */
  #evaluation: number | null = null;
  #due = true;

  constructor(
    readonly session: Session,
    readonly now: () => Date = () => new Date(),
  ) {}

  /**
   * A step of this process has ended.
   * @param seconds it took, waiting for its images included
   * @returns what to tell of the first plan; null at any other step
   */
  step(seconds: number): string | null {
    const { settings } = this.session;
    if (settings.timeBudget === null) return null;
    if (++this.#seen > slow) this.#seconds += seconds;
    const isFirst = this.#seen === slow + measured;
    if (this.#due && this.#isMeasured) this.#plan();
    // A plan that turns out too long is cut where the time is used up, less the evaluation of the end.
    else if (this.left <= this.#lastEvaluation) this.#end(0);
    return isFirst ? this.#planInWords(settings.timeBudget) : null;
  }

  /** An epoch has ended. @param evaluated whether the epoch was evaluated */
  epoch(seconds: number, evaluated: boolean): void {
    const { progress, settings } = this.session;
    if (settings.timeBudget === null) return;
    progress.endSeconds = (progress.endSeconds ?? 0) + seconds;
    if (evaluated) this.#evaluation = Math.max(seconds, this.#evaluation ?? 0);
    this.#due = true;
    // A run that has taken its last step ends, also where its evaluation took less time than was left for it.
    if (!this.#isMeasured || stepsLeft(this.session) <= 0) return;
    // The last step is followed by an evaluation: where there was none just now, there is one more step.
    this.#plan(evaluated ? 0 : 1);
  }

  /** Seconds that are left of the budget; infinite without one. */
  get left(): number {
    return (this.session.settings.timeBudget ?? Number.POSITIVE_INFINITY) - spentSeconds(this.session.progress);
  }

  /** Epochs that the run has steps for; null before its end is planned. */
  get plannedEpochs(): number | null {
    const { settings, progress, totalSteps, stepsPerEpoch } = this.session;
    const planned = settings.timeBudget === null || progress.plannedSteps !== undefined || this.#isMeasured;
    return planned ? Math.min(settings.epochs, Math.ceil(totalSteps / stepsPerEpoch)) : null;
  }

  /** Whether enough steps were taken to know the speed. */
  get #isMeasured(): boolean {
    return this.#seen >= slow + measured;
  }

  /** Steps that the run has taken, without those that were undone. */
  get #done(): number {
    return this.session.totalSteps - stepsLeft(this.session);
  }

  /** Of the run's last evaluation, and of its test split; before the first, as long as so many images in training. */
  get #lastEvaluation(): number {
    const { data, settings } = this.session;
    const ends = settings.runTest && data.testImages > 0 ? 1 + data.testImages / Math.max(1, data.validImages) : 1;
    return ends * this.#anEvaluation;
  }

  get #anEvaluation(): number {
    const { data, stepsPerEpoch } = this.session;
    return this.#evaluation ?? (this.#stepSeconds * stepsPerEpoch * data.validImages) / Math.max(1, data.trainImages);
  }

  get #stepSeconds(): number {
    return this.#seconds / Math.max(1, this.#seen - slow);
  }

  /** @param least steps that the run takes at least */
  #plan(least = 0): void {
    const { stepsPerEpoch, settings } = this.session;
    this.#due = false;
    const evaluation = this.#anEvaluation;
    const speed = { step: this.#stepSeconds, evaluation, interval: stepsPerEpoch * settings.evalInterval };
    this.#end(Math.max(least, stepsWithin(this.left - (this.#lastEvaluation - evaluation), speed)));
  }

  #planInWords(budget: number): string {
    const { totalSteps, mostSteps, stepsPerEpoch } = this.session;
    const all = counted(mostSteps, "step");
    if (totalSteps === mostSteps) return `At this speed all ${all} fit into the time budget of ${hms(budget)}`;
    const epochs = (totalSteps / stepsPerEpoch).toFixed(1);
    const end = clock(this.now(), this.left);
    return `The time budget of ${hms(budget)} has room for ${grouped(totalSteps)} of ${all}, ${epochs} epochs, until ${end}`;
  }

  /**
   * A run goes on with another budget: until there is a new plan, its steps are expected to take as long as those that
   * were taken.
   */
  goOn(): void {
    const { session } = this;
    const { progress, settings } = session;
    const done = this.#done;
    const spent = spentSeconds(progress);
    const { timeBudget } = settings;
    if (timeBudget === null || done === 0 || spent === 0) this.#end(session.mostSteps);
    else this.#end(Math.max(0, Math.floor((done * timeBudget) / spent) - done));
  }

  /** Makes the run end after so many steps more, but not later than its settings say. */
  #end(steps: number): void {
    const { session } = this;
    const { progress } = session;
    const planned = Math.min(this.#done + steps, session.mostSteps);
    if (planned < session.mostSteps) progress.plannedSteps = planned;
    else delete progress.plannedSteps;
    session.totalSteps = planned;
  }
}
