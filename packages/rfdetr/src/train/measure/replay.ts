// Runs a faulty step once more to find where it first was not finite.

import { type OverflowReport, type Precision, replay } from "@rfdetr/amp";
import { scope } from "@rfdetr/torch";
import type { Shape } from "../../support/shape.js";
import { badTerms } from "../step/settle-step.js";
import { type MicroBatch, prepareImages, type StepParts } from "../step/step-parts.js";
import { seedForward, type WholeStep, wholeStep } from "../step/whole-step.js";

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
      const report = replay({
        step,
        precision,
        files,
        model,
        inputs: images.map((image, i) => [`images of micro-batch ${i + 1}`, image] as const),
        run,
        scale,
      });
      return { ...named(report, badTerms(values)), files: faultyFiles(microBatches, bad) ?? [...files] };
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

/** A report with a name for a fault outside of modules: the terms of the loss, or the operator of the loss. */
function named(report: OverflowReport, terms: string): OverflowReport {
  const { module, phase, operator } = report;
  const outside = module === null || module.startsWith("(");
  if (!outside || !["loss", "target", "backward"].includes(phase)) return report;
  return { ...report, module: terms !== "" ? terms : operator === null ? "the loss" : `the loss (${operator})` };
}
