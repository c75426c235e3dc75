// A training run as text: a header, a live line, a table with a row per epoch.

import { formatBytes } from "@rfdetr/amp/text";
import type { EpochEvent, StartEvent, StepEvent, TrainEvent } from "../run/files/events.js";
import type { Console } from "./console.js";
import { clock, duration, fraction, grouped } from "./format.js";

const columns = [
  "epoch",
  "step",
  "loss",
  "class",
  "box",
  "giou",
  "AP",
  "AP50",
  "AP75",
  "img/s",
  "skipped",
  "time",
] as const;
const widths = [7, 7, 8, 7, 7, 7, 6, 6, 6, 7, 7, 8];
const row = (cells: readonly string[]) => cells.map((cell, i) => cell.padStart(widths[i])).join(" ");

/** Shows the events of a run. */
export class TrainConsole {
  #lastPlain = 0;

  constructor(
    readonly console: Console,
    readonly now: () => Date = () => new Date(),
  ) {}

  show(event: TrainEvent): void {
    const { console } = this;
    if (event.type === "preparing") console.progress(console.dim(event.what));
    else if (event.type === "start") this.#header(event);
    else if (event.type === "step") this.#step(event);
    else if (event.type === "evaluation") console.live(`evaluating ${event.images}/${event.totalImages}`);
    else if (event.type === "epoch") this.#epoch(event);
    else if (event.type === "test")
      console.result(`test split: AP ${fraction(event.ap)}, AP50 ${fraction(event.ap50)}`);
    else if (event.type === "warning") console.warning(event.message);
    else if (event.type === "note") console.fact(event.message);
    else if (event.type === "done") console.end();
  }

  #header(event: StartEvent): void {
    const { console } = this;
    console.progress(
      `${console.bold(event.model)} at ${event.resolution} px, ${grouped(event.parameters)} parameters, ${event.classes.length} classes`,
    );
    const [train, valid] = [event.trainImages, event.validImages].map(grouped);
    const epochs = `${event.epochs} epochs of ${event.stepsPerEpoch} steps, ${event.batch} images per step`;
    console.progress(`${train} training and ${valid} validation images, ${epochs}`);
    console.progress(`precision ${console.bold(event.precision)}: ${event.reason}`);
    console.progress(
      console.dim(
        `libtorch ${event.engine} on ${event.device}, ${event.threads} threads; ${event.hardware}; seed ${event.seed}`,
      ),
    );
    console.progress(
      `run folder ${event.dir}${event.resumedAt === null ? "" : `, continued after step ${event.resumedAt}`}`,
    );
    console.progress();
    console.progress(console.bold(row(columns)));
  }

  #step(event: StepEvent): void {
    const text = this.stepLine(event);
    if (!this.console.plain) this.console.live(text);
    // A log gets at most one line every ten seconds.
    else if (this.now().getTime() - this.#lastPlain >= 10_000) {
      this.#lastPlain = this.now().getTime();
      this.console.progress(text);
    }
  }

  /**
   * Epoch, step, loss, learning rate, speed, memory, precision with loss scale and skipped steps, image size, time
   * left, time of the end.
   */
  stepLine(event: StepEvent): string {
    const scale = event.lossScale === null ? "" : ` scale ${event.lossScale}`;
    const skipped = event.skippedSteps === 0 ? "" : ` skipped ${event.skippedSteps}`;
    return [
      `epoch ${event.epoch}`,
      `step ${event.step}/${event.totalSteps}`,
      `loss ${event.loss.toFixed(3)}`,
      `lr ${event.lr.toExponential(1)}`,
      `${event.imagesPerSecond.toFixed(event.imagesPerSecond < 10 ? 1 : 0)} img/s`,
      formatBytes(event.rssBytes),
      `${event.precision}${scale}${skipped}`,
      `${event.size} px`,
      `${duration(event.secondsLeft)} left, ${clock(this.now(), event.secondsLeft)}`,
    ].join(" · ");
  }

  #epoch(event: EpochEvent): void {
    const { console } = this;
    const { terms } = event;
    const number = (value: number | undefined) => (value === undefined ? "–" : value.toFixed(3));
    const cells = [
      `${event.epoch}/${event.epochs}`,
      String(event.step),
      number(event.loss),
      number(terms.loss_ce),
      number(terms.loss_bbox),
      number(terms.loss_giou),
      fraction(event.ap),
      fraction(event.ap50),
      fraction(event.ap75),
      event.imagesPerSecond.toFixed(1),
      String(event.amp.skipped),
      duration(event.seconds + event.evaluationSeconds),
    ];
    console.progress(`${row(cells)}${event.best ? console.green("  best") : ""}`);
  }
}
