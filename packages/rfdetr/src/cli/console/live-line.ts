// The live line of a training run: time left first, then as many whole figures as fit.

import { formatBytes } from "@rfdetr/amp/text";
import type { StepEvent } from "../../run/events/events.js";
import { leftText, lossText, ofPlan, percentDone } from "../../run/transcript/progress-words.js";
import { grouped } from "../../support/format.js";
import { shapeInWords } from "../../support/shape.js";
import { bold, dim, green, widthOf } from "./style.js";

/** Cells of the bar of an epoch, by the columns that a terminal has at least. */
const bars = [
  { columns: 118, cells: 20 },
  { columns: 70, cells: 10 },
] as const;

/** The figures of the last step, as a line. */
export class LiveLine {
  #step: StepEvent | null = null;

  constructor(readonly now: () => Date) {}

  step(event: StepEvent): void {
    this.#step = event;
  }

  /**
   * Time left and time of the end, epoch and how much of it is done, loss, speed, precision with loss scale and skipped
   * steps, memory, step, learning rate, image size. What is not known yet is left out.
   * @param columns null for a log: all figures and no bar
   */
  text(columns: number | null): string {
    const event = this.#step;
    if (event === null) return "";
    const { imagesPerSecond: speed, lossScale, skippedSteps, stepInEpoch, stepsPerEpoch, plannedEpochs } = event;
    const scale = lossScale === null ? "" : ` scale ${lossScale}`;
    const skipped = skippedSteps === 0 ? "" : ` skipped ${grouped(skippedSteps)}`;
    const share = Math.min(1, stepInEpoch / stepsPerEpoch);
    return fitted(
      [
        ...this.#left(),
        `${this.#epoch(event)} ${bar(share, columns)}${percentDone(share)}`,
        `loss ${lossText(event.loss)}`,
        ...(speed > 0 ? [`${speed.toFixed(speed < 10 ? 1 : 0)} img/s`] : []),
        `${event.precision}${scale}${skipped}`,
        formatBytes(event.rssBytes),
        `step ${ofPlan(event.step, plannedEpochs === null ? null : event.totalSteps)}`,
        ...(event.lr > 0 ? [`lr ${event.lr.toExponential(1)}`] : []),
        `${shapeInWords(event.size)} px`,
      ],
      columns,
    );
  }

  /** The line while the weights are evaluated: how far, and where there is room the time left and the epoch. */
  evaluation(images: number, totalImages: number, columns: number): string {
    const done = `evaluating ${grouped(images)}/${grouped(totalImages)}`;
    const epoch = this.#step === null ? [] : [this.#epoch(this.#step)];
    const line = fitted([...this.#left(), done, ...epoch], columns);
    return line.includes(done) ? line : done;
  }

  #left(): string[] {
    const left = this.#step === null ? null : leftText(this.#step.secondsLeft, this.now());
    return left === null ? [] : [bold(left)];
  }

  #epoch({ epoch, plannedEpochs }: StepEvent): string {
    return `epoch ${ofPlan(epoch, plannedEpochs)}`;
  }
}

/** A share as a bar, followed by a space; nothing where the terminal has no room for it. */
function bar(share: number, columns: number | null): string {
  const cells = bars.find((each) => columns !== null && columns >= each.columns)?.cells ?? 0;
  if (cells === 0) return "";
  const full = Math.floor(share * cells);
  const tip = share * cells - full >= 0.5 ? "╸" : "";
  return `${green("━".repeat(full) + tip)}${dim("─".repeat(cells - full - tip.length))} `;
}

/** The first of the parts that fit, separated. */
function fitted(parts: readonly string[], columns: number | null): string {
  let [line = ""] = parts;
  for (const part of parts.slice(1)) {
    const longer = `${line} · ${part}`;
    if (columns !== null && widthOf(longer) > columns) break;
    line = longer;
  }
  return line;
}
