// @ts-check
// Runs beside each other: their curves, and the settings in which they differ.

import { apOptions, Chart } from "./chart.js";
import { ask, Latest } from "./client.js";
import { EpochStore, StepStore } from "./curve-stores.js";
import { fill, h } from "./dom.js";
import { bestText, ofPlan, whole } from "./format.js";
import { stateText } from "./runs-view.js";

/** @import { RunDetails, RunRow } from "../src/dash/wire.js" */
/** @import { Live } from "./client.js" */
/** @import { Column } from "./chart.js" */

/** @typedef {{steps: StepStore, epochs: EpochStore, details: RunDetails | null}} Store */

/** Runs that are compared at most: more lines cannot be told apart. */
const most = 8;
export const seriesColors = ["#0072b2", "#d55e00", "#009e73", "#b85c94", "#7a5ae0", "#a87b00", "#1f9fe0", "#c2185b"];

/**
 * Columns with one axis: where a run has no value, the last before is none.
 * @param {{x: Column, y: Column}[]} runs
 * @returns {Column[]}
 */
function onOneAxis(runs) {
  const axis = [...new Set(runs.flatMap(({ x }) => x))].sort((a, b) => (a ?? 0) - (b ?? 0));
  const columns = runs.map(({ x, y }) => {
    const values = new Map(x.map((place, i) => [place, y[i]]));
    return axis.map((place) => values.get(place) ?? null);
  });
  return [axis, ...columns];
}

export class CompareView {
  #latest = new Latest(() => this.#fetch());
  #seen = "";
  /** @type {Map<string, Store>} */
  #stores = new Map();
  /** @type {RunRow[]} */
  #rows = [];
  /** @type {{ap: Chart, loss: Chart, norm: Chart} | null} */
  #charts = null;
  #table = h("div", { class: "scroll" });
  #settings = h("div", { class: "scroll" });
  #place = h("div", { class: "charts" });
  element = h(
    "section",
    {},
    h("header", { class: "page-head" }, h("h1", {}, "Comparison")),
    this.#table,
    h(
      "p",
      { class: "quiet" },
      "Seeds of the same settings differ too: ",
      h("code", {}, "rfdetr report"),
      " of these runs says whether settings differ by more.",
    ),
    this.#place,
    h("h2", {}, "Settings that differ"),
    this.#settings,
  );

  /** @param {string[]} ids */
  constructor(ids) {
    this.ids = ids.slice(0, most);
  }

  /** @param {Live} live */
  update(live) {
    this.#rows = this.ids.flatMap((id) => live.rows.get(id) ?? []);
    const seen = this.#rows
      .map(({ id, versions, state }) => `${id} ${versions.steps} ${versions.epochs} ${state}`)
      .join();
    if (seen === this.#seen) return;
    this.#seen = seen;
    void this.#latest.run();
  }

  async #fetch() {
    const rows = this.#rows;
    await Promise.all(
      rows.map(async ({ id }) => {
        const store = this.#stores.get(id) ?? { steps: new StepStore(), epochs: new EpochStore(), details: null };
        this.#stores.set(id, store);
        store.details ??= await ask(`/api/runs/${id}/details`);
        await Promise.all([store.steps.fetch(id), store.epochs.fetch(id)]);
      }),
    );
    const names = rows.map(({ name }) => name);
    if (this.#charts === null) {
      const lines = names.map((label, i) => ({
        label,
        color: seriesColors[i],
        ...(i % 2 === 0 ? {} : { dash: [6, 3] }),
      }));
      this.#charts = {
        ap: new Chart("Average precision", lines, apOptions),
        loss: new Chart("Loss", lines, { sync: "step" }),
        norm: new Chart("Gradient norm, before clipping", lines, { sync: "step", log: true }),
      };
      fill(this.#place, ...Object.values(this.#charts).map(({ element }) => element));
    }
    const stores = rows.map(({ id }) => /** @type {Store} */ (this.#stores.get(id)));
    const steps = (/** @type {"loss" | "gradNorm"} */ name) =>
      onOneAxis(stores.map(({ steps: { columns } }) => ({ x: columns?.step ?? [], y: columns?.[name] ?? [] })));
    // Masks are compared with masks alone.
    const figure = rows.every(({ ofMasks }) => ofMasks) ? "val/mask_AP" : "val/AP";
    this.#charts.ap.show(
      onOneAxis(stores.map(({ epochs }) => ({ x: epochs.column("epoch"), y: epochs.column(figure) }))),
    );
    this.#charts.loss.show(steps("loss"));
    this.#charts.norm.show(steps("gradNorm"));
    fill(this.#table, this.#results(rows));
    fill(
      this.#settings,
      differences(
        names,
        stores.map(({ details }) => details?.config.settings ?? {}),
      ),
    );
  }

  /** @param {RunRow[]} rows */
  #results(rows) {
    return h(
      "table",
      { class: "panel" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["Run", "State", "Best AP", "Best epoch", "Epoch", "Steps", "Skipped", "Precision"].map((text) =>
            h("th", { scope: "col" }, text),
          ),
        ),
      ),
      h(
        "tbody",
        {},
        ...rows.map(({ id, name, state, best, bestEpoch, ofMasks, skipped, precision, ...row }, i) =>
          h(
            "tr",
            {},
            h(
              "th",
              { scope: "row" },
              h("span", { class: "dot", style: { "--mark": seriesColors[i] } }),
              h("a", { href: `#/run/${id}` }, name),
            ),
            ...[
              stateText[state],
              bestText(best, ofMasks),
              bestEpoch === null ? "–" : whole(bestEpoch),
              ofPlan(row.epoch, row.epochs),
              ofPlan(row.step, row.steps),
              whole(skipped),
              precision ?? "–",
            ].map((text) => h("td", {}, text)),
          ),
        ),
      ),
    );
  }
}

/** @param {string[]} names @param {Record<string, unknown>[]} settings */
function differences(names, settings) {
  const text = (/** @type {unknown} */ value) =>
    value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value);
  const keys = [...new Set(settings.flatMap((each) => Object.keys(each)))].filter(
    (key) => new Set(settings.map((each) => text(each[key]))).size > 1,
  );
  if (keys.length === 0) return h("p", { class: "quiet" }, "None.");
  return h(
    "table",
    { class: "panel" },
    h("thead", {}, h("tr", {}, ...["Setting", ...names].map((name) => h("th", { scope: "col" }, name)))),
    h(
      "tbody",
      {},
      ...keys
        .sort()
        .map((key) =>
          h("tr", {}, h("th", { scope: "row" }, key), ...settings.map((each) => h("td", {}, text(each[key])))),
        ),
    ),
  );
}
