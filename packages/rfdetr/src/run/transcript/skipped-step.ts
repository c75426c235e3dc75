// A step that changed nothing, in one line.
import { grouped } from "../../support/format.js";
import type { StepEvent } from "../files/events.js";

/** So many skipped steps of a run get a line. */
const most = 100;

/**
 * Which step was skipped, what became of the loss scale, what was not finite and where it began; null for a step that
 * was applied, and after the first hundred of a run, whose last line says so.
 */
export function skippedStep({ step, fault, lossScale, skippedSteps }: StepEvent): string | null {
  if (fault === null || skippedSteps > most) return null;
  const { what, module, scale } = fault;
  const backsOff = lossScale === null || lossScale === scale ? "" : `, loss scale ${scale} → ${lossScale}`;
  const place = module === null || what.includes(module) ? "" : `, first in ${module}`;
  const last = skippedSteps < most ? "" : "; further ones are only counted, and numerics.jsonl has each";
  return `step ${grouped(step)} skipped${backsOff}: ${what} not finite${place}${last}`;
}

/** Whether a loss scale that was too high explains a skipped step: finding the scale takes such steps. */
export const isScaleSearch = ({ loss, fault }: StepEvent): boolean =>
  fault !== null && fault.scale > 1 && Number.isFinite(loss);
