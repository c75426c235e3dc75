// @ts-check
// The numerics of a run: which module comes near a limit of its dtype, since when, and what comes next.
import { ask, Latest } from "./client.js";
import { fill, h } from "./dom.js";
import { bitsText, whole } from "./format.js";
import { bitsAt, dtypeAt, flushedAt, leastBits, levelOf, limitsText, partsOf, tightest } from "./headroom.js";
import { beyondText, choice, flushedLine, leastText, legend } from "./microscope-parts.js";
import { ModuleDetail } from "./module-detail.js";
import { ModuleTree } from "./module-tree.js";
import { Watched } from "./watched.js";

/** @import { Fault, Forecast, RunDetails, RunRow } from "../src/dash/wire.js" */
/** @import { Measure, Side } from "./headroom.js" */

export class Microscope {
  #watched = new Watched();
  #size = -1;
  /** @type {Side} */
  #side = "forward";
  /** @type {Measure} */
  #measure = "as-run";
  /** @type {"model" | "headroom"} */
  #order = "model";
  #path = "";
  /** The watched step that is shown; null for the last, whichever that is. @type {number | null} */
  #at = null;
  #latest = new Latest(() => this.#fetch());
  #notice = h("div", { class: "notice", "aria-live": "polite" });
  #slider = h("input", { type: "range", min: 0, step: 1, "aria-label": "Watched step", oninput: () => this.#scrub() });
  #when = h("output", { class: "when" });
  #tree = new ModuleTree((path) => this.#choose(path));
  #faults = h("section", { class: "faults", "aria-label": "What was not finite" });
  #limits = h("p", { class: "quiet limits" });
  #body = h("div", { class: "microscope" });
  #isEmpty = true;

  /** @param {string} run @param {(pattern: string) => void} onOverride */
  constructor(run, onOverride) {
    this.run = run;
    this.detail = new ModuleDetail(run, onOverride, (side) => this.#turn(side));
    this.element = h("div", {}, h("p", { class: "quiet" }, "Reading the watched steps…"));
  }

  /** @param {RunRow} row @param {RunDetails} details */
  update(row, { controls }) {
    this.detail.allow(controls.includes("override"));
    if (row.versions.steps === this.#size) return;
    this.#size = row.versions.steps;
    void this.#latest.run();
  }

  async #fetch() {
    const sent = await ask(`/api/runs/${this.run}/watched`, this.#watched.has);
    if (sent === null) return;
    const isNew = this.#watched.add(sent);
    if (this.#watched.steps.length === 0) {
      const why =
        sent.header?.interval === 0
          ? "This run watches no steps: its setting monitor_interval is 0."
          : "No step was watched yet. The first one is.";
      fill(this.element, h("p", { class: "quiet" }, why));
      this.#isEmpty = true;
      return;
    }
    if (this.#isEmpty) this.#lay();
    this.#isEmpty = false;
    if (this.#path === "") this.#choose(this.#worth());
    this.#show();
    if (isNew) await this.detail.show(this.#path, this.#side);
  }

  /** The module that a reader should look at first. */
  #worth() {
    const { forecasts, modules, steps, faults } = this.#watched;
    const [soonest] = forecasts;
    if (soonest !== undefined) {
      this.#side = soonest.side;
      return soonest.path;
    }
    const fault = faults.findLast(({ module }) => modules.some(({ path }) => path === module));
    if (fault?.module != null) return fault.module;
    const tight = tightest(modules, steps.length - 1, this.#measure);
    if (tight !== null) this.#side = tight.side;
    return tight?.path ?? modules[0]?.path ?? "";
  }

  #lay() {
    const sides = choice(
      "Values",
      [
        ["forward", "outputs"],
        ["gradient", "gradients"],
      ],
      (side) => this.#turn(/** @type {Side} */ (side)),
    );
    const measures = choice(
      "Limits of",
      [
        ["as-run", "the dtype that ran"],
        ["float16", "float16"],
        ["bfloat16", "bfloat16"],
      ],
      (measure) => {
        this.#measure = /** @type {Measure} */ (measure);
        this.#show();
      },
    );
    const orders = choice(
      "Order",
      [
        ["model", "of the model"],
        ["headroom", "least headroom first"],
      ],
      (order) => {
        this.#order = /** @type {"model" | "headroom"} */ (order);
        this.#show();
      },
    );
    sides.classList.add("side");
    fill(
      this.#body,
      h(
        "section",
        { class: "modules panel", "aria-label": "Modules" },
        h("div", { class: "choices" }, sides, measures, orders),
        this.#limits,
        h("div", { class: "scrubber" }, this.#slider, this.#when),
        this.#tree.element,
        legend(),
      ),
      h("section", { class: "panel detail", "aria-label": "Module" }, this.detail.element),
    );
    fill(this.element, this.#notice, this.#body, this.#faults);
  }

  #show() {
    const { modules, steps, scale, forecasts, faults } = this.#watched;
    const last = steps.length - 1;
    const at = Math.min(this.#at ?? last, last);
    this.#slider.max = String(last);
    this.#slider.value = String(at);
    this.#slider.setAttribute("aria-valuetext", `step ${whole(steps[at])}`);
    this.#when.value = `step ${whole(steps[at])}${this.#at === null ? " · latest" : ""}${scale[at] > 1 ? ` · scale ${whole(scale[at])}` : ""}`;
    const select = this.#body.querySelector(".side select");
    if (select !== null) /** @type {HTMLSelectElement} */ (select).value = this.#side;
    const foreseen = new Set(forecasts.map(({ side, path }) => `${side} ${path}`));
    this.#tree.show({
      ...{ modules, columns: steps.length, at, foreseen },
      ...{ side: this.#side, measure: this.#measure, order: this.#order },
    });
    this.#limits.textContent = limitsText(this.#watched.header?.precision ?? "", this.#measure);
    this.#limits.hidden = this.#limits.textContent === "";
    fill(this.#notice, ...this.#told());
    fill(this.#faults, ...this.#faultList(faults));
    this.#inform(at);
  }

  /** Tells the detail what the tree knows of its module. @param {number} at */
  #inform(at) {
    const { modules, forecasts, steps } = this.#watched;
    const module = modules.find(({ path }) => path === this.#path);
    const side = module?.[this.#side] ?? null;
    // Where a rule of precision changed the dtype, the limits of the narrower one are still worth to be seen.
    const dtypes = steps.map((_, i) => (side === null ? "float32" : dtypeAt(side, i, this.#measure)));
    const dtype = dtypes.includes("float16") ? "float16" : dtypes[at];
    const forecast = forecasts.find(({ path, side }) => path === this.#path && side === this.#side);
    this.detail.inform({
      ...{ at, step: steps[at], side, dtype, dtypes },
      bits: bitsAt(side, at, this.#measure),
      below: leastBits(partsOf(modules, this.#path), this.#side, at, this.#measure),
      flushed: steps.map((_, i) => flushedAt(side, i, this.#measure)),
      forecast: forecast !== undefined && forecast.dtype === dtypes.at(-1) ? forecast : null,
    });
  }

  /** What a reader must know, in a sentence or two. */
  #told() {
    const { forecasts, modules, steps, faults } = this.#watched;
    const last = steps.at(-1) ?? 0;
    const seen = faults.filter(({ kind }) => kind === "overflow");
    const lines = forecasts.slice(0, 3).map((forecast) => this.#foreseen(forecast, last));
    if (lines.length === 0) {
      const tight = tightest(modules, steps.length - 1, this.#measure);
      if (tight !== null)
        lines.push(
          h(
            "p",
            { class: "told-line", "data-level": levelOf(tight.bits) },
            h("strong", {}, tight.bits > 0 ? "No overflow is foreseen. " : beyondText(this.#measure)),
            tight.bits <= 0 ? "" : leastText(tight.bits, this.#measure, last),
            this.#link(tight.path, tight.side),
            ` (${tight.side === "forward" ? "outputs" : "gradients"}).`,
          ),
        );
    }
    if (this.#measure === "float16") lines.push(...flushedLine(modules, this.#watched.header?.precision ?? ""));
    if (seen.length > 0)
      lines.push(
        h(
          "p",
          { class: "told-line past" },
          `${seen.length === 1 ? "One step" : `${seen.length} steps`} overflowed up to now; the last was step ${whole(seen[seen.length - 1].step)}.`,
        ),
      );
    return lines;
  }

  /** @param {Forecast} forecast @param {number} last */
  #foreseen({ path, side, dtype, headroom, bitsPerStep, steps }, last) {
    return h(
      "p",
      { class: "told-line foreseen", "data-level": 0 },
      this.#link(path, side),
      h("strong", {}, ` will overflow ${dtype} in about ${whole(steps)} steps, near step ${whole(last + steps)}. `),
      `${side === "forward" ? "Its outputs have" : "Its gradients have"} ${bitsText(headroom)} bits of headroom and lose one in ${whole(1 / bitsPerStep)} steps.`,
    );
  }

  /** @param {string} path @param {Side} side */
  #link(path, side) {
    const go = () => {
      this.#side = side;
      this.#choose(path);
    };
    return h("button", { class: "path", type: "button", onclick: go }, path);
  }

  /** @param {Fault[]} faults */
  #faultList(faults) {
    if (faults.length === 0) return [];
    const items = faults.slice(-20).reverse();
    return [
      h("h3", {}, "What happened"),
      h(
        "ol",
        { class: "fault-list" },
        ...items.map(({ step, kind, module, operator, phase, scale, advice, images }) =>
          h(
            "li",
            { class: kind },
            h("span", { class: "fault-step" }, `step ${whole(step)}`),
            h(
              "div",
              {},
              kind !== "overflow"
                ? null
                : h(
                    "p",
                    {},
                    module === null ? "The step" : this.#link(module, phase === "backward" ? "gradient" : "forward"),
                    ` overflowed${operator === null ? "" : ` in ${operator}`}${phase === null ? "" : ` (${phase})`}${scale !== null && scale > 1 ? `, with loss scale ${whole(scale)}` : ""}.`,
                  ),
              ...advice.map((text) => h("p", { class: "quiet" }, text)),
              images.length === 0
                ? null
                : h("p", { class: "quiet files" }, `Images: ${images.map(({ file }) => file).join(", ")}`),
            ),
          ),
        ),
      ),
    ];
  }

  #scrub() {
    const at = Number(this.#slider.value);
    this.#at = at === this.#watched.steps.length - 1 ? null : at;
    this.#show();
  }

  /** @param {Side} side */
  #turn(side) {
    this.#side = side;
    this.#show();
    void this.detail.show(this.#path, side);
  }

  /** @param {string} path */
  #choose(path) {
    if (path === "") return;
    this.#path = path;
    this.#tree.select(path);
    this.#show();
    void this.detail.show(path, this.#side);
  }
}
