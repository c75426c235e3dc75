// @ts-check
// The curves of a run.
import { apOptions, Chart } from "./chart.js";
import { Latest } from "./client.js";
import { EpochStore, StepStore } from "./curve-stores.js";
import { h } from "./dom.js";
import { bytesText, whole } from "./format.js";

/** @import { Column, Line } from "./chart.js" */
/** @import { RunRow } from "../src/dash/wire.js" */

/** Distances of the marks on an axis of bytes. */
const powersOfTwo = Array.from({ length: 42 }, (_, i) => 2 ** i);

/** @type {Line[]} */
const lossLines = [
  { label: "validation", color: "--second", dash: [5, 3] },
  { label: "training", color: "--accent" },
];

/** @type {Line[]} */
const maskLines = [
  { label: "cross-entropy", color: "--accent" },
  { label: "Dice", color: "--second", dash: [5, 3] },
];

/** @type {Line[]} */
const apLines = [
  { label: "AP", color: "--accent" },
  { label: "AP50", color: "--second", dash: [5, 3] },
];

/** Figures that callbacks record: `NAME/figure`. The run's own have one of these names. */
const isOwnFigure = (/** @type {string} */ name) => /^(?!train\/|val\/)[^/]+\//.test(name);

/** The loss scale, which only 16-mixed has. */
const scaleChart = () =>
  new Chart(
    "Loss scale and skipped steps",
    [
      { label: "scale", color: "--accent" },
      { label: "skipped", color: "--level-0", dots: true },
    ],
    { log: true, sync: "step" },
  );

const skipsChart = () =>
  new Chart("Skipped steps", [{ label: "skipped", color: "--level-0", dots: true }], {
    sync: "step",
    none: "No step was skipped.",
  });

/** The curves of one run. */
export class Curves {
  #steps = new StepStore();
  #epochs = new EpochStore();
  #versions = { steps: -1, epochs: -1 };
  #latest = new Latest(() => this.#fetch());
  #wanted = this.#versions;
  #ap = new Chart("Average precision", apLines, apOptions);
  #loss = new Chart(
    "Training loss by step",
    [
      { label: "least", color: "--faint" },
      { label: "most", color: "--faint" },
      { label: "loss", color: "--accent" },
    ],
    { sync: "step", band: true },
  );
  #terms = new Chart(
    "Terms of the loss",
    [
      { label: "class", color: "--accent" },
      { label: "box L1", color: "--second", dash: [5, 3] },
      { label: "GIoU", color: "--third", dash: [2, 2] },
    ],
    { x: "Epoch" },
  );
  /** Charts by epoch that only some runs have, by title. @type {Map<string, Chart>} */
  #further = new Map();
  #norm = new Chart("Gradient norm, before clipping", [{ label: "norm", color: "--accent" }], {
    sync: "step",
    log: true,
  });
  /** Of the loss scale, or of skipped steps alone; null until the precision of the run is known. @type {Chart | null} */
  #skips = null;
  #isScaled = false;
  #lr = new Chart("Learning rate", [{ label: "lr", color: "--accent" }], { sync: "step" });
  #time = new Chart("Seconds a step", [{ label: "seconds", color: "--accent" }], { sync: "step" });
  #memory = new Chart("Peak of the tensors", [{ label: "bytes", color: "--accent" }], {
    sync: "step",
    text: bytesText,
    distances: powersOfTwo,
  });
  element = h(
    "div",
    { class: "charts" },
    ...[this.#ap, this.#loss, this.#terms, this.#norm, this.#lr, this.#time, this.#memory].map(
      ({ element }) => element,
    ),
  );

  /** @param {string} run */
  constructor(run) {
    this.run = run;
  }

  /** @param {RunRow} row */
  update({ precision, versions: { steps, epochs } }) {
    if (this.#skips === null && precision !== null) {
      this.#isScaled = precision === "16-mixed";
      this.#skips = this.#isScaled ? scaleChart() : skipsChart();
      this.#norm.element.after(this.#skips.element);
    }
    if (steps === this.#versions.steps && epochs === this.#versions.epochs) return;
    this.#wanted = { steps, epochs };
    void this.#latest.run();
  }

  async #fetch() {
    const wanted = this.#wanted;
    if (wanted.epochs !== this.#versions.epochs) {
      await this.#epochs.fetch(this.run);
      const epoch = this.#epochs.column("epoch");
      this.#ap.show([epoch, this.#epochs.column("val/AP"), this.#epochs.column("val/AP50")]);
      this.#showFurther(
        "Average precision of masks",
        apLines,
        [this.#epochs.column("val/mask_AP"), this.#epochs.column("val/mask_AP50")],
        this.#ap,
      );
      this.#terms.show([
        epoch,
        ...["loss_ce", "loss_bbox", "loss_giou"].map((name) => this.#epochs.column(`train/${name}`)),
      ]);
      const masks = ["loss_mask_ce", "loss_mask_dice"].map((name) => this.#epochs.column(`train/${name}`));
      this.#showFurther("Terms of the loss of masks", maskLines, masks, this.#terms);
      const losses = [this.#epochs.column("val/loss"), this.#epochs.column("train/loss")];
      this.#showFurther("Loss by epoch", lossLines, losses, this.#loss);
      for (const name of Object.keys(this.#epochs.columns).filter(isOwnFigure))
        this.#showFurther(name, [{ label: name, color: "--accent" }], [this.#epochs.column(name)]);
    }
    if (wanted.steps !== this.#versions.steps && (await this.#steps.fetch(this.run))) this.#showSteps();
    this.#versions = wanted;
  }

  /**
   * Shows a chart once its first line has a value.
   * @param {string} title @param {Line[]} lines @param {Column[]} columns @param {Chart} [before] default: the last
   */
  #showFurther(title, lines, columns, before) {
    let chart = this.#further.get(title);
    if (chart === undefined) {
      if (columns[0].every((value) => value === null)) return;
      chart = new Chart(title, lines, { x: "Epoch", across: true });
      this.#further.set(title, chart);
      if (before === undefined) this.element.append(chart.element);
      else before.element.after(chart.element);
    }
    chart.show([this.#epochs.column("epoch"), ...columns]);
  }

  #showSteps() {
    const columns = this.#steps.columns;
    if (columns === null) return;
    const { step, loss, lossMin, lossMax, gradNorm, lr, scale, skipped, seconds, peakBytes, size } = columns;
    const isJoined = size > 1;
    const orNone = (/** @type {Column} */ column) => (isJoined ? column : step.map(() => null));
    const note = isJoined ? `each point is ${whole(size)} steps: their mean, between the least and the most` : "";
    this.#loss.show([step, orNone(lossMin), orNone(lossMax), loss], note);
    this.#norm.show([step, gradNorm.map((value) => (value === 0 ? null : value))]);
    const skips = skipped.map((count, i) => (count === 0 ? null : this.#isScaled ? scale[i] : count));
    this.#skips?.show(this.#isScaled ? [step, scale, skips] : [step, skips]);
    this.#lr.show([step, lr]);
    this.#time.show([step, seconds]);
    this.#memory.show([step, peakBytes]);
  }
}
