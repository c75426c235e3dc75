// A training run as text: a header, a live line, a table with a row per epoch, and the end.
import type {
  ControlEvent,
  EpochEvent,
  EvaluationEvent,
  StartEvent,
  StepEvent,
  TestEvent,
  TrainEvent,
} from "../../run/events/events.js";
import type { TrainResult } from "../../run/train-run.js";
import { endingFields } from "../../run/transcript/ending.js";
import { EpochTable } from "../../run/transcript/epoch-table.js";
import { headerFields, headerTitle, repeatedImages, startAdvice } from "../../run/transcript/header.js";
import { isScaleSearch, SkippedSteps } from "../../run/transcript/skipped-step.js";
import { type Field, unbroken } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { LiveLine } from "../console/live-line.js";
import { commandLines, goOnCommand, nextCommand, watchCommand } from "../console/next-command.js";

/** Milliseconds between two live lines: faster ones cannot be read, and a slow connection would have to carry them. */
const liveEvery = 100;
/** Milliseconds between two lines of a log: in the first minute, and later. */
const logEvery = { first: 10_000, later: 60_000 };

/** Shows the events of a run. */
export class TrainConsole {
  readonly #table = new EpochTable();
  readonly #skipped = new SkippedSteps();
  readonly #line: LiveLine;
  #data: string | null = null;
  #test: TestEvent | null = null;
  #folder = "";
  #began = 0;
  #shown = 0;

  constructor(
    readonly console: Console,
    readonly now: () => Date = () => new Date(),
  ) {
    this.#line = new LiveLine(now);
  }

  show(event: TrainEvent): void {
    const { console } = this;
    if (event.type === "start") this.#header(event);
    else if (event.type === "step") this.#step(event);
    else if (event.type === "evaluation") this.#evaluation(event);
    else if (event.type === "epoch") this.#epoch(event);
    else if (event.type === "test") this.#test = event;
    else if (event.type === "warning") console.warning(event.message);
    else if (event.type === "note") console.fact(event.message);
    else if (event.type === "control") this.#control(event);
    else if (event.type === "done") this.#done();
    else if (event.type === "preparing" && console.plain) console.progress(event.what);
    else if (event.type === "preparing") console.live(event.what);
  }

  /** The last lines of a run that has ended. @param data folder of its dataset, where no event has named it */
  ending(result: TrainResult, data: string | null = null): void {
    const { console } = this;
    console.result();
    const [first, ...fields] = endingFields(result, this.#test);
    console.fields([
      emphasised(first, console.bold),
      ...fields,
      ["next", ...commandLines(nextCommand(result, this.#data ?? data))],
    ]);
  }

  #done(): void {
    const { console } = this;
    for (const line of this.#skipped.rest()) console.prose(console.yellow(line));
    console.end();
  }

  #header(event: StartEvent): void {
    const { console } = this;
    this.#data = event.data;
    this.#folder = event.dir;
    this.#began = this.#shown = this.now().getTime();
    this.#table.begin();
    console.prose(console.bold(headerTitle(event)));
    console.fields([...headerFields(event), ["watch", unbroken(watchCommand(event.dir))]], "progress");
    const repeated = repeatedImages(event);
    if (repeated !== null) console.fact(repeated);
    const advice = startAdvice(event, "--weights");
    if (advice !== null) console.warning(advice);
    console.live("waiting for the first step");
  }

  #step(event: StepEvent): void {
    const { console } = this;
    this.#line.step(event);
    for (const line of this.#skipped.step(event))
      console.prose((isScaleSearch(event) ? console.dim : console.yellow)(line));
    const early = this.now().getTime() - this.#began < 60_000;
    if (!this.#isDue(!console.plain ? liveEvery : early ? logEvery.first : logEvery.later)) return;
    if (console.plain) console.progress(this.#line.text(null));
    else console.live((columns) => this.#line.text(columns));
  }

  /** A command to the run that it obeyed; while it is paused, how to go on. */
  #control({ message, paused }: ControlEvent): void {
    const { console } = this;
    console.fact(message);
    if (paused) console.live(`paused until: ${goOnCommand(this.#folder)}`);
  }

  #evaluation({ images, totalImages }: EvaluationEvent): void {
    if (this.console.plain || !this.#isDue(liveEvery)) return;
    this.console.live((columns) => this.#line.evaluation(images, totalImages, columns));
  }

  /** Whether so many milliseconds have passed since it last was. */
  #isDue(pause: number): boolean {
    const now = this.now().getTime();
    if (now - this.#shown < pause) return false;
    this.#shown = now;
    return true;
  }

  #epoch(event: EpochEvent): void {
    const { console } = this;
    for (const line of this.#skipped.rest()) console.prose(console.yellow(line));
    const { note, titles, row, mark } = this.#table.row(event, console.columns);
    if (note !== null) console.fact(note);
    if (titles !== null) {
      console.progress();
      console.progress(console.bold(titles));
    }
    console.progress(`${row}${console.green(mark)}`);
  }
}

const emphasised = ([label, first = "", ...rest]: Field, style: (text: string) => string): Field => [
  label,
  style(first),
  ...rest,
];
