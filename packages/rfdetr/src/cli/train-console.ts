// A training run as text: a header, a live line, a table with a row per epoch.

import { formatBytes } from "@rfdetr/amp/text";
import type { EpochEvent, StartEvent, StepEvent, TrainEvent } from "../run/files/events.js";
import { publishedWeights } from "../weights/published-weights.js";
import type { Console } from "./console.js";
import { clock, counted, duration, fraction, grouped } from "./format.js";

/** A column of the table of epochs. */
interface Column {
  title: string;
  width: number;
  cell: (event: EpochEvent) => string;
}

const loss = (value: number | undefined): string => (value === undefined ? "–" : value.toFixed(3));
const table: readonly Column[] = [
  { title: "step", width: 7, cell: (event) => String(event.step) },
  { title: "loss", width: 8, cell: (event) => loss(event.loss) },
  { title: "class", width: 7, cell: ({ terms }) => loss(terms.loss_ce) },
  { title: "box", width: 7, cell: ({ terms }) => loss(terms.loss_bbox) },
  { title: "giou", width: 7, cell: ({ terms }) => loss(terms.loss_giou) },
  { title: "AP", width: 6, cell: (event) => fraction(event.ap) },
  { title: "AP50", width: 6, cell: (event) => fraction(event.ap50) },
  { title: "AP75", width: 6, cell: (event) => fraction(event.ap75) },
  { title: "img/s", width: 7, cell: (event) => event.imagesPerSecond.toFixed(1) },
  { title: "skipped", width: 7, cell: (event) => String(event.amp.skipped) },
  { title: "time", width: 8, cell: (event) => duration(event.seconds + event.evaluationSeconds) },
];
/** What a narrow terminal does without, in this order. */
const dispensable = ["giou", "box", "class", "AP75", "img/s", "step", "skipped", "loss"];
const epochWidth = 7;
const best = "  best";

/** The columns that fit beside the epoch and the mark of the best. */
function columnsWithin(width: number | null): readonly Column[] {
  let columns = table;
  const total = (): number => columns.reduce((sum, column) => sum + 1 + column.width, epochWidth + best.length);
  for (const title of dispensable) {
    if (width === null || total() < width) break;
    columns = columns.filter((column) => column.title !== title);
  }
  return columns;
}

/** Training images from which random weights may lead somewhere. */
const manyImages = 10_000;

/** What to begin with instead of random weights; null where they are meant, or where nothing can be done any more. */
function startAdvice({ weights, model, trainImages, resumedAt }: StartEvent): string | null {
  if (weights !== null || resumedAt !== null || trainImages >= manyImages || ["demo", "tiny"].includes(model))
    return null;
  const published = Object.hasOwn(publishedWeights, model) ? `--weights ${model}` : "trained weights (--weights)";
  return `The weights are random, which takes many thousand images and hours: fine-tuning usually starts from ${published}`;
}

/** Shows the events of a run. */
export class TrainConsole {
  #lastPlain = 0;
  /** Epochs that the run has steps for. */
  #epochs = 0;
  #hasTitles = false;

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
    const { epochs, stepsPerEpoch, totalSteps, trainImages, batch } = event;
    this.#epochs = Math.ceil(totalSteps / stepsPerEpoch);
    console.progress(
      `${console.bold(event.model)} at ${event.resolution} px, ${grouped(event.parameters)} parameters, ${counted(event.classes.length, "class", "classes")}`,
    );
    console.progress(`${grouped(trainImages)} training and ${grouped(event.validImages)} validation images`);
    const limit = totalSteps < epochs * stepsPerEpoch ? `, ends after ${counted(totalSteps, "step")}` : "";
    console.progress(
      `${counted(epochs, "epoch")} of ${counted(stepsPerEpoch, "step")}, ${counted(batch, "image")} per step${limit}`,
    );
    // A run that goes on has its own weights.
    if (event.resumedAt === null) console.progress(`weights ${event.weights ?? "random"}`);
    console.progress(`precision ${console.bold(event.precision)}: ${event.reason}`);
    console.progress(
      console.dim(
        `libtorch ${event.engine} on ${event.device}, ${counted(event.threads, "thread")}, seed ${event.seed}`,
      ),
    );
    console.progress(console.dim(event.hardware));
    console.progress(
      `run folder ${event.dir}${event.resumedAt === null ? "" : `, continued after step ${event.resumedAt}`}`,
    );
    if (stepsPerEpoch > Math.ceil(trainImages / batch))
      console.fact(
        `An epoch has at least ${counted(stepsPerEpoch, "step")}, so small sets are repeated: ${counted(trainImages, "image")} for ${grouped(stepsPerEpoch * batch)} places`,
      );
    const advice = startAdvice(event);
    if (advice !== null) console.warning(advice);
    console.live("waiting for the first step");
  }

  #step(event: StepEvent): void {
    const { console } = this;
    if (!console.plain) console.live(this.stepLine(event, console.columns));
    // A log gets at most one line every ten seconds.
    else if (this.now().getTime() - this.#lastPlain >= 10_000) {
      this.#lastPlain = this.now().getTime();
      console.progress(this.stepLine(event));
    }
  }

  /**
   * Time left and time of the end, epoch, step, loss, speed, precision with loss scale and skipped steps, memory,
   * learning rate, image size: as many of them as fit. What is not known yet is left out.
   */
  stepLine(event: StepEvent, width: number | null = null): string {
    const scale = event.lossScale === null ? "" : ` scale ${event.lossScale}`;
    const skipped = event.skippedSteps === 0 ? "" : ` skipped ${event.skippedSteps}`;
    const { imagesPerSecond: speed, secondsLeft } = event;
    const parts = [
      ...(Number.isFinite(secondsLeft) ? [`${duration(secondsLeft)} left, ${clock(this.now(), secondsLeft)}`] : []),
      `epoch ${event.epoch}`,
      `step ${event.step}/${event.totalSteps}`,
      `loss ${event.loss.toFixed(3)}`,
      ...(speed > 0 ? [`${speed.toFixed(speed < 10 ? 1 : 0)} img/s`] : []),
      `${event.precision}${scale}${skipped}`,
      formatBytes(event.rssBytes),
      ...(event.lr > 0 ? [`lr ${event.lr.toExponential(1)}`] : []),
      `${event.size} px`,
    ];
    let line = parts[0];
    for (const part of parts.slice(1)) {
      if (width !== null && `${line} · ${part}`.length >= width) break;
      line += ` · ${part}`;
    }
    return line;
  }

  #epoch(event: EpochEvent): void {
    const { console } = this;
    const columns = columnsWithin(console.plain ? null : console.columns);
    const row = (first: string, cell: (column: Column) => string): string =>
      [first.padStart(epochWidth), ...columns.map((column) => cell(column).padStart(column.width))].join(" ");
    if (!this.#hasTitles) {
      console.progress();
      console.progress(console.bold(row("epoch", ({ title }) => title)));
    }
    this.#hasTitles = true;
    const first = `${event.epoch}/${Math.min(event.epochs, this.#epochs || event.epochs)}`;
    console.progress(`${row(first, ({ cell }) => cell(event))}${event.best ? console.green(best) : ""}`);
  }
}
