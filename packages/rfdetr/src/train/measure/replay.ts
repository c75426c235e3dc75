// Runs a faulty step once more to find where it first was not finite.

import { type Fault, type Precision, replay } from "@rfdetr/amp";
import { scope } from "@rfdetr/torch";
import type { Shape } from "../../support/shape.js";
import { badTerms } from "../step/settle-step.js";
import { type MicroBatch, prepareImages, type StepParts } from "../step/step-parts.js";
import { seedForward, type WholeStep, wholeStep } from "../step/whole-step.js";
import { advise, type OverflowReport } from "./overflow-report.js";

/** The step to run again. */
interface ReplayedStep {
  /** Its number, from 1. */
  step: number;
  precision: Precision;
  /** The files of its images. */
  files: readonly string[];
  /** The loss scale that it had. */
  scale: number;
  /** What the images are resized to, in pixels; null keeps their size. */
  size: Shape | null;
  /** The step that the micro-batches are a part of; default: they are all of it. */
  whole?: WholeStep;
}

/**
 * Runs a step that was not applied once more, with observers, and reports the first value that is not finite. Changes
 * no weight. Its files are the images at fault, as far as that is known, and otherwise all of them.
 */
export function replayStep(
  parts: StepParts,
  microBatches: readonly MicroBatch[],
  { step, precision, files, scale, size, whole = wholeStep(microBatches) }: ReplayedStep,
): OverflowReport {
  const { model, criterion, autocast, device } = parts;
  try {
    return scope(() => {
      const images = microBatches.map((batch) => prepareImages(batch, size, device));
      const values = new Map<string, number>();
      let bad: number | null = null;
      const run = (): void =>
        microBatches.forEach(({ targets }, i) =>
          scope(() => {
            seedForward(whole, whole.numbers[i]);
            const outputs = autocast.run(() => model.call(images[i]));
            const { total, terms } = criterion.compute(outputs, targets, { training: true, boxes: whole.boxes });
            if (!Number.isFinite(total.item())) bad ??= i;
            for (const [name, term] of terms) values.set(name, (values.get(name) ?? 0) + term.item());
            total.mul(scale / whole.microBatches).backward();
          }),
        );
      const inputs = images.map((image, i) => [`images of micro-batch ${i + 1}`, image] as const);
      const fault = replay({ model, inputs, run });
      const report = { step, precision, scale, files: [...files], ...fault };
      const advice = advise(report);
      const named = { ...report, module: placeOf(fault, badTerms(values)) };
      return { ...named, files: faultyFiles(microBatches, bad) ?? report.files, advice };
    });
  } finally {
    parts.optimizer.zeroGrad();
    autocast.clearCache();
  }
}

/**
 * The images whose boxes are not finite, or else those of the micro-batch whose loss is not.
 * @returns null where it may be any image of the step
 */
function faultyFiles(microBatches: readonly MicroBatch[], bad: number | null): string[] | null {
  const spoiled = microBatches.flatMap(({ targets, files = [] }) =>
    files.filter((_, i) => !targets[i].boxes.every(Number.isFinite)),
  );
  if (spoiled.length > 0) return spoiled;
  return bad === null ? null : [...(microBatches[bad].files ?? [])];
}

/** The module of a fault; outside of modules the terms of the loss, or the operator of the loss. */
function placeOf({ module, phase, operator }: Fault, terms: string): string | null {
  const outside = module === null || module.startsWith("(");
  if (!outside || !["loss", "target", "backward"].includes(phase)) return module;
  return terms !== "" ? terms : operator === null ? "the loss" : `the loss (${operator})`;
}
