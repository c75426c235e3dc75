// @ts-check
// A chart of the page, which grows while a run trains, with the same figures as a table.
import { rangeAcross } from "./axis-range.js";
import { asTable, fill, h, styleValue } from "./dom.js";
import { axisTexts, brief, score, whole } from "./format.js";
import uPlot from "./uplot.js";

/** @typedef {(number | null)[]} Column */

/** Distances of the marks on an axis that counts, and on one of AP. */
const counts = Array.from({ length: 27 }, (_, i) => [1, 2, 5][i % 3] * 10 ** Math.floor(i / 3));
const thousandths = Array.from({ length: 10 }, (_, i) => ([1, 2, 5][i % 3] * 10 ** Math.floor(i / 3)) / 1000);

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
  /** The names of the lines, and what a point stands for. @type {HTMLElement[]} */
  #keys;
  #note = h("span", { class: "chart-note" });

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
    this.#keys =
      lines.length < 2
        ? []
        : lines.map(({ label, color }) => h("span", { style: { "--mark": colorOf(color) } }, label));
    this.#note.hidden = true;
    const key = lines.length < 2 ? null : h("span", { class: "chart-key" }, ...this.#keys, this.#note);
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

  /**
   * @param {Column[]} data the first column is that of the axis
   * @param {string} [note] what a point stands for, beside the names of the lines
   */
  show(data, note = "") {
    this.#data = data;
    this.#note.textContent = note;
    this.#note.hidden = note === "";
    for (const [i, key] of this.#keys.entries()) key.hidden = data[i + 1].every((value) => value === null);
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
    const { text, log = false, sync, band = false, distances, across = false } = this.options;
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
      scales: { x: { time: false, range: rangeAcross }, y: log ? { distr: 3 } : { range: rangeOf } },
      axes: [
        { ...axis, incrs: counts, values: (_, values) => values.map((value) => whole(value)) },
        {
          ...axis,
          size: 68,
          ...(distances === undefined ? {} : { incrs: distances }),
          values: (_, values) =>
            text === undefined ? axisTexts(values) : values.map((value) => (value === null ? "" : text(value))),
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
          points: { size: dots ? 7 : 6, fill: colorOf(color), ...(dots ? { show: true } : {}) },
          value: (/** @type {uPlot} */ _, /** @type {number | null} */ value) => this.#text(value),
        })),
      ],
    };
  }
}

/**
 * The range of an axis. Where all values are 0 it ends at 1: uPlot ends it at 100, for which the distances of AP are
 * too small, so that no mark has room.
 * @param {uPlot} _ @param {number | null} min null where no value is shown @param {number | null} max
 * @returns {uPlot.Range.MinMax}
 */
function rangeOf(_, min, max) {
  if (min === null || max === null) return [null, null];
  return min === 0 && max === 0 ? [0, 1] : uPlot.rangeNum(min, max, 0.1, true);
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
