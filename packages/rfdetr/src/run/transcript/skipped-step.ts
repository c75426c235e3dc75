// Steps that changed nothing: one line each, and one for the rest of a long series.
import { grouped } from "../../support/format.js";
import type { StepEvent } from "../events/events.js";

/** So many skipped steps in a row get a line each. */
const most = 3;

/** Tells of the skipped steps of a run. */
export class SkippedSteps {
  #series: StepEvent[] = [];

  /** The lines that a step, skipped or applied, gives rise to. */
  step(event: StepEvent): string[] {
    if (event.fault === null) return this.rest();
    this.#series.push(event);
    return this.#series.length <= most ? [skippedStep(event)] : [];
  }

  /** What was not told yet of the steps before: call at the end of an epoch and of the run. */
  rest(): string[] {
    const [first, second, ...others] = this.#series.splice(0).slice(most);
    if (first === undefined) return [];
    if (second === undefined) return [skippedStep(first)];
    const last = others.at(-1) ?? second;
    return [`steps ${grouped(first.step)} to ${grouped(last.step)} skipped too${backsOff(first, last)}`];
  }
}

/** Which step was skipped, what became of the loss scale, what was not finite and where it began. */
function skippedStep(event: StepEvent): string {
  const { what = "step", module = null, rank, image } = event.fault ?? {};
  const place = module === null || what.includes(module) ? "" : `, began in ${module}`;
  const process = rank === undefined || what.includes(" on rank ") ? "" : ` on rank ${rank}`;
  const picture = image === undefined ? "" : `, with ${image}`;
  const cause = what.replace(" of micro-batch 1 of 1", "");
  return `step ${grouped(event.step)} skipped${backsOff(event, event)}: ${cause} not finite${place}${process}${picture}`;
}

/** How the loss scale fell over a series of steps. */
function backsOff({ fault }: StepEvent, { lossScale }: StepEvent): string {
  return fault === null || lossScale === null || lossScale === fault.scale
    ? ""
    : `, loss scale ${fault.scale} → ${lossScale}`;
}

/** Whether a loss scale that was too high explains a skipped step: finding the scale takes such steps. */
export const isScaleSearch = ({ loss, fault }: StepEvent): boolean =>
  fault !== null && fault.scale > 1 && Number.isFinite(loss);
