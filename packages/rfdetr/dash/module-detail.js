// @ts-check
// One module under the microscope: its exponents over time, its largest values and the images that made them.
import { ask, Latest } from "./client.js";
import { asTable, fill, h, picture } from "./dom.js";
import { drawExponents } from "./exponent-chart.js";
import { scalesOf } from "./exponent-scales.js";
import { bitsText, brief, percent, powerOfTwo, whole } from "./format.js";
import { levelOf } from "./headroom.js";

/** @import { ExponentMap, Forecast, LargestValue, SideSeries } from "../src/dash/wire.js" */
/** @import { Dtype, Side } from "./headroom.js" */

/**
 * What the tree knows of the module.
 * @typedef {object} Known
 * @property {number} at
 * @property {number} step
 * @property {SideSeries | null} side
 * @property {Dtype} dtype whose limits are drawn
 * @property {Dtype[]} dtypes of each watched step
 * @property {number} bits
 * @property {number} below the least bits of the modules inside of it; Infinity without any
 * @property {number[]} flushed the share of each watched step that becomes zero
 * @property {Forecast | null} forecast
 */

export class ModuleDetail {
  /** @type {ExponentMap | null} */
  #map = null;
  /** @type {Known | null} */
  #known = null;
  #path = "";
  /** @type {Side} */
  #side = "forward";
  #mayOverride = false;
  #latest = new Latest(() => this.#fetch());
  #title = h("h2", { class: "module-title" });
  #facts = h("dl", { class: "facts" });
  #canvas = h("canvas", { class: "exponents", role: "img" });
  #under = h("p", { class: "under quiet" });
  #values = h("div", { class: "largest" });
  #sides = h("div", { class: "sides", role: "group", "aria-label": "Values" });
  #override = h(
    "button",
    { type: "button", class: "button", onclick: () => this.onOverride(this.#path) },
    "Change its precision…",
  );

  /** @param {string} run @param {(pattern: string) => void} onOverride @param {(side: Side) => void} onSide */
  constructor(run, onOverride, onSide) {
    this.run = run;
    this.onOverride = onOverride;
    for (const [side, text] of /** @type {[Side, string][]} */ ([
      ["forward", "Outputs"],
      ["gradient", "Gradients"],
    ]))
      this.#sides.append(h("button", { type: "button", "data-side": side, onclick: () => onSide(side) }, text));
    const figure = h(
      "figure",
      { class: "exponent-figure" },
      h(
        "figcaption",
        {},
        "Where its values lie: each column a watched step, each row a power of two, stronger where more values are",
      ),
      this.#canvas,
      this.#under,
      asTable("The values of the module by watched step", () => this.#table()),
    );
    this.element = h(
      "div",
      {},
      h("header", { class: "module-head" }, this.#title, this.#sides, this.#override),
      this.#facts,
      figure,
      this.#values,
    );
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => this.#underline());
    new ResizeObserver(() => this.#draw()).observe(this.#canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#draw());
  }

  /** @param {boolean} mayOverride */
  allow(mayOverride) {
    this.#mayOverride = mayOverride;
    this.#override.hidden = !mayOverride || this.#path.startsWith("(");
  }

  /** @param {string} path @param {Side} side */
  async show(path, side) {
    if (path !== this.#path || side !== this.#side) this.#map = null;
    [this.#path, this.#side] = [path, side];
    this.#title.textContent = path;
    this.allow(this.#mayOverride);
    for (const button of this.#sides.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.side === side));
    await this.#latest.run();
  }

  async #fetch() {
    const [path, side] = [this.#path, this.#side];
    const map = await ask(`/api/runs/${this.run}/exponents`, { path, side });
    if (path !== this.#path || side !== this.#side) return;
    this.#map = map;
    if (this.#known !== null) this.inform(this.#known);
    this.#draw();
    this.#underline();
    fill(this.#values, ...largest(this.run, map?.largest ?? []));
  }

  /** @param {Known} known */
  inform(known) {
    this.#known = known;
    const { side, dtype, bits, below, flushed, at, forecast } = known;
    const top = side?.top[at];
    // What is sent for the tree is rounded; the value itself comes with the map.
    const recorded = this.#map?.amax[at] ?? null;
    const amax = top === null || top === undefined ? 0 : top > 30_000 ? Number.NaN : recorded;
    const fact = (/** @type {string} */ name, /** @type {string} */ value, /** @type {string | null} */ level = null) =>
      h("div", { "data-level": level }, h("dt", {}, name), h("dd", {}, value));
    fill(
      this.#facts,
      fact("headroom", `${bitsText(bits)} bits`, String(bits === Number.POSITIVE_INFINITY ? "none" : levelOf(bits))),
      below === Number.POSITIVE_INFINITY
        ? null
        : fact("least of its parts", `${bitsText(below)} bits`, String(levelOf(below))),
      fact("largest value", brief(amax)),
      fact("dtype", side?.dtype ?? "not seen"),
      fact("rounded to zero", percent(flushed[at] ?? 0)),
      forecast === null ? null : fact("overflow", `in about ${whole(forecast.steps)} steps`, "0"),
    );
    this.#canvas.setAttribute(
      "aria-label",
      `Exponents of ${this.#path} over ${whole(this.#map?.steps.length ?? 0)} watched steps. At step ${whole(known.step)} the largest value is ${brief(amax)}, ${bitsText(bits)} bits below the limit of ${dtype}.`,
    );
    this.#draw();
  }

  get #chart() {
    const [map, known] = [this.#map, this.#known];
    if (map === null || known === null || map.steps.length === 0) return null;
    const top = map.steps.map((_, i) => {
      const value = known.side?.top[i];
      return value === null || value === undefined || value > 30_000 ? null : value / 16;
    });
    return {
      map,
      top,
      dtype: known.dtype,
      dtypes: known.dtypes,
      at: Math.min(known.at, map.steps.length - 1),
      forecast: known.forecast,
    };
  }

  #draw() {
    const chart = this.#chart;
    if (chart !== null) drawExponents(this.#canvas, chart);
  }

  #underline(text = "") {
    this.#under.textContent = text;
  }

  /** Says what lies under the pointer. @param {PointerEvent} event */
  #point(event) {
    const chart = this.#chart;
    if (chart === null) return;
    const { map } = chart;
    const { clientWidth, clientHeight } = this.#canvas;
    const { x, y, edges } = scalesOf(chart, clientWidth, clientHeight);
    const column = map.steps.findIndex((_, i) => event.offsetX >= x(edges[i]) && event.offsetX <= x(edges[i + 1]));
    const row = Array.from({ length: map.rows }, (_, i) => i).find(
      (i) => event.offsetY >= y(map.first + i + 1) && event.offsetY < y(map.first + i),
    );
    const share = row === undefined || column < 0 ? -1 : map.shares[column][row];
    if (row === undefined || share < 0) return this.#underline();
    const exponent = map.first + row;
    this.#underline(
      `step ${whole(map.steps[column])}: ${percent(2 ** (-share / 16))} of the values lie between ${powerOfTwo(exponent)} and ${powerOfTwo(exponent + 1)} (${brief(2 ** exponent)} to ${brief(2 ** (exponent + 1))})`,
    );
  }

  #table() {
    const chart = this.#chart;
    const rows = (chart?.map.steps ?? []).map((step, i) => {
      const value = chart?.map.amax[i] ?? null;
      const flushed = this.#known?.flushed[i] ?? 0;
      return [whole(step), brief(value), percent(flushed)];
    });
    return { header: ["Step", "Largest value", "Rounded to zero"], rows: rows.reverse() };
  }
}

/** The largest values with the images that made them. @param {string} run @param {LargestValue[]} values */
function largest(run, values) {
  if (values.length === 0) return [];
  /** @type {Map<string, LargestValue>} */
  const images = new Map();
  for (const value of values)
    if (value.image?.image != null && !images.has(value.image.image)) images.set(value.image.image, value);
  return [
    h("h3", {}, "Largest values, and the images that made them"),
    images.size === 0
      ? null
      : h(
          "ul",
          { class: "makers" },
          ...[...images]
            .slice(0, 6)
            .map(([image, { image: named, value, step }]) =>
              h(
                "li",
                {},
                h(
                  "a",
                  { href: `/api/runs/${run}/images/${image}` },
                  picture(`/api/runs/${run}/images/${image}`, named?.file ?? ""),
                ),
                h("span", { class: "maker-value" }, brief(value ?? Number.NaN)),
                h("span", { class: "quiet" }, `step ${whole(step)}`),
              ),
            ),
        ),
    h(
      "div",
      { class: "scroll" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            ...["Step", "Value", "Place in the tensor", "Image"].map((text) => h("th", { scope: "col" }, text)),
          ),
        ),
        h(
          "tbody",
          {},
          ...values
            .slice(0, 10)
            .map(({ step, value, index, image }) =>
              h(
                "tr",
                {},
                h("td", {}, whole(step)),
                h("td", {}, brief(value ?? Number.NaN)),
                h("td", {}, `[${index.join(", ")}]`),
                h("td", { class: "file" }, image?.file ?? "–"),
              ),
            ),
        ),
      ),
    ),
  ];
}
