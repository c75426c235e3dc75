// @ts-check
// The curves of a run, which grow while it trains.

import { ask, Latest } from "./client.js";
import { asTable, fill, h, styleValue } from "./dom.js";
import { brief, bytesText, score, whole } from "./format.js";
import uPlot from "./uplot.js";

/** @import { EpochColumns, RunRow, StepColumns } from "../src/dash/wire.js" */

/** @typedef {(number | null)[]} Column */

/** Distances of the marks on an axis that counts, on one of AP, and on one of bytes. */
const counts = Array.from({ length: 27 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
const thousandths = Array.from({ length: 10 }, (_, i) => ([1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)) / 1000);
const powersOfTwo = Array.from({ length: 42 }, (_, i) => 2 ** i);

/**
 * A line of a chart.
 * @typedef {object} Line
 * @property {string} label
 * @property {string} color name of a value of the style sheet, or a colour
 * @property {number[]} [dash]
 * @property {boolean} [dots] single points instead of a line
 */

/** One chart, with its table. */
export class Chart {
  /** @type {uPlot | null} */
  #plot = null;
  #place = h("div", { class: "plot" });
  /** @type {Column[]} */
  #data = [];

  /**
   * @param {string} title @param {Line[]} lines
   * @param {{x?: string, text?: (value: number) => string, log?: boolean, sync?: string, none?: string, band?:
   * boolean, distances?: number[], across?: boolean}} options
   *   `band` fills the room between the first two lines; `distances` are those that marks of the values may have;
   *   `across` draws lines across what is missing
   */
  constructor(title, lines, options = {}) {
    this.title = title;
    this.lines = lines;
    this.options = options;
    const key =
      lines.length < 2
        ? null
        : h(
            "span",
            { class: "chart-key" },
            ...lines.map(({ label, color }) => h("span", { style: { "--mark": colorOf(color) } }, label)),
          );
    this.element = h(
      "figure",
      { class: "panel chart" },
      h("figcaption", {}, title, key),
      this.#place,
      asTable(title, () => ({
        header: [options.x ?? "Step", ...lines.map(({ label }) => label)],
        rows:
          this.#data[0]
            ?.map((x, i) => [whole(x ?? 0), ...this.#data.slice(1).map((column) => this.#text(column[i]))])
            .reverse() ?? [],
      })),
    );
    new ResizeObserver(() => this.#resize()).observe(this.#place);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.#plot?.destroy();
      this.#plot = null;
      this.#draw();
    });
  }

  /** @param {number | null | undefined} value */
  #text(value) {
    return value === null || value === undefined ? "–" : (this.options.text ?? brief)(value);
  }

  /** @param {Column[]} data the first column is that of the axis */
  show(data) {
    this.#data = data;
    this.#draw();
  }

  #draw() {
    const width = this.#place.clientWidth;
    if (width === 0 || this.#data.length === 0) return;
    const isEmpty = this.#data.slice(1).every((column) => column.every((value) => value === null));
    this.element.classList.toggle("empty", isEmpty);
    if (isEmpty) {
      this.#plot?.destroy();
      this.#plot = null;
      fill(this.#place, h("p", { class: "quiet" }, this.options.none ?? "Nothing to show yet."));
      return;
    }
    if (this.#plot === null) {
      fill(this.#place);
      this.#plot = new uPlot(this.#options(width), /** @type {uPlot.AlignedData} */ (this.#data), this.#place);
    } else this.#plot.setData(/** @type {uPlot.AlignedData} */ (this.#data));
  }

  #resize() {
    const width = this.#place.clientWidth;
    if (this.#plot === null) this.#draw();
    else if (width > 0 && width !== this.#plot.width) this.#plot.setSize({ width, height: this.#plot.height });
  }

  /** @param {number} width @returns {uPlot.Options} */
  #options(width) {
    const { text = brief, log = false, sync, band = false, distances, across = false } = this.options;
    const axis = {
      stroke: styleValue("--quiet"),
      grid: { stroke: styleValue("--line"), width: 1 },
      ticks: { show: false },
      font: `11px ${styleValue("--font")}`,
      size: 28,
    };
    return {
      ...{ width, height: 190 },
      ...(band ? { bands: [{ series: /** @type {[number, number]} */ ([2, 1]), fill: colorOf("--faint") }] } : {}),
      cursor: { y: false, points: { size: 6 }, ...(sync === undefined ? {} : { sync: { key: sync } }) },
      scales: { x: { time: false }, ...(log ? { y: { distr: 3 } } : {}) },
      axes: [
        { ...axis, incrs: counts, values: (_, values) => values.map((value) => whole(value)) },
        {
          ...axis,
          size: 68,
          ...(distances === undefined ? {} : { incrs: distances }),
          values: (_, values) => values.map((value) => (value === null ? "" : text(value))),
        },
      ],
      series: [
        { label: this.options.x ?? "Step", value: (_, value) => (value === null ? "–" : whole(value)) },
        ...this.lines.map(({ label, color, dash, dots = false }) => ({
          label,
          stroke: colorOf(color),
          spanGaps: across,
          width: dots ? 0 : 1.5,
          ...(dash === undefined ? {} : { dash }),
          points: dots ? { show: true, size: 7, fill: colorOf(color) } : { show: this.#data[0].length < 40, size: 4 },
          value: (/** @type {uPlot} */ _, /** @type {number | null} */ value) => this.#text(value),
        })),
      ],
    };
  }
}

/** @param {string} color */
const colorOf = (color) => (color.startsWith("--") ? styleValue(color) : color);

/** How a chart of AP by epoch is drawn: not every epoch need be evaluated. */
export const apOptions = {
  x: "Epoch",
  text: score,
  none: "No epoch was evaluated yet.",
  distances: thousandths,
  across: true,
};

/** The steps of a run as the page has them. */
export class StepStore {
  /** @type {StepColumns | null} */
  columns = null;

  /** Fetches what lacks. @param {string} run @returns {Promise<boolean>} whether something is new */
  async fetch(run) {
    const { generation = 0, step = [] } = this.columns ?? {};
    /** @type {StepColumns | null} */
    const sent = await ask(`/api/runs/${run}/steps`, { generation, count: step.length });
    if (sent === null) return false;
    const before = this.columns;
    if (sent.from === 0 || before === null) this.columns = sent;
    else
      this.columns = /** @type {StepColumns} */ (
        Object.fromEntries(
          Object.entries(sent).map(([name, value]) => [
            name,
            Array.isArray(value) ? [...before[/** @type {"step"} */ (name)].slice(0, sent.from), ...value] : value,
          ]),
        )
      );
    return true;
  }
}

/** The epochs of a run as the page has them. */
export class EpochStore {
  /** @type {Record<string, Column>} */
  columns = {};

  /** Reads the rows that lack. @param {string} run @returns {Promise<void>} */
  async fetch(run) {
    const have = this.columns.epoch?.length ?? 0;
    /** @type {EpochColumns | null} */
    const sent = await ask(`/api/runs/${run}/epochs`, { from: have });
    if (sent === null) return;
    // Fewer rows than there were: the run went back, and its rows are read anew.
    if (sent.rows < have) {
      this.columns = {};
      return await this.fetch(run);
    }
    for (const [name, values] of Object.entries(sent.columns))
      this.columns[name] = [...(this.columns[name] ?? Array(have).fill(null)), ...values];
  }

  /** @param {string} name @returns {Column} */
  column(name) {
    return this.columns[name] ?? (this.columns.epoch ?? []).map(() => null);
  }
}

/** @type {Line[]} */
const lossLines = [
  { label: "validation", color: "--second", dash: [5, 3] },
  { label: "training", color: "--accent" },
];

/** Figures that callbacks record: `NAME/figure`. The run's own have one of these names. */
const isOwnFigure = (/** @type {string} */ name) => /^(?!train\/|val\/)[^/]+\//.test(name);

/** The curves of one run. */
export class Curves {
  #steps = new StepStore();
  #epochs = new EpochStore();
  #versions = { steps: -1, epochs: -1 };
  #latest = new Latest(() => this.#fetch());
  #wanted = this.#versions;
  #ap = new Chart(
    "Average precision",
    [
      { label: "AP", color: "--accent" },
      { label: "AP50", color: "--second", dash: [5, 3] },
    ],
    apOptions,
  );
  #loss = new Chart(
    "Loss",
    [
      { label: "least", color: "--faint" },
      { label: "most", color: "--faint" },
      { label: "mean", color: "--accent" },
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
  #scale = new Chart(
    "Loss scale and skipped steps",
    [
      { label: "scale", color: "--accent" },
      { label: "skipped", color: "--level-0", dots: true },
    ],
    { log: true, sync: "step", none: "Nothing is scaled, and no step was skipped." },
  );
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
    ...[this.#ap, this.#loss, this.#terms, this.#norm, this.#scale, this.#lr, this.#time, this.#memory].map(
      ({ element }) => element,
    ),
  );

  /** @param {string} run */
  constructor(run) {
    this.run = run;
  }

  /** @param {RunRow} row */
  update({ versions: { steps, epochs } }) {
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
      this.#terms.show([
        epoch,
        ...["loss_ce", "loss_bbox", "loss_giou"].map((name) => this.#epochs.column(`train/${name}`)),
      ]);
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
    this.#loss.show([step, orNone(lossMin), orNone(lossMax), loss]);
    this.#norm.show([step, gradNorm.map((value) => (value === 0 ? null : value))]);
    const isScaled = scale.some((value) => value !== 1) || skipped.some((count) => count > 0);
    this.#scale.show([
      step,
      isScaled ? scale : step.map(() => null),
      skipped.map((count, i) => (count > 0 ? scale[i] : null)),
    ]);
    this.#lr.show([step, lr]);
    this.#time.show([step, seconds]);
    this.#memory.show([step, peakBytes]);
  }
}
