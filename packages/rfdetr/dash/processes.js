// @ts-check
// The processes of a run: what each does in a step, and which of them the others wait for.

import { Chart } from "./chart.js";
import { ask, Latest } from "./client.js";
import { seriesColors } from "./compare.js";
import { fill, h } from "./dom.js";
import { brief, whole } from "./format.js";

/** @import { RankView, RunRow } from "../src/dash/wire.js" */

/** Seconds, in milliseconds where they are few. @param {number | null} value */
const seconds = (value) => {
  if (value === null) return "–";
  return value < 1 ? `${brief(value * 1000)} ms` : `${brief(value)} s`;
};

export class Processes {
  #version = -1;
  #wanted = -1;
  #latest = new Latest(() => this.#fetch());
  #sentences = h("ul", { class: "sentences" });
  #table = h("div", { class: "scroll" });
  #place = h("div", { class: "charts" });
  /** @type {Chart[]} */
  #charts = [];
  #labels = "";
  element = h("div", {}, this.#sentences, this.#table, this.#place);

  /** @param {string} run */
  constructor(run) {
    this.run = run;
  }

  /** @param {RunRow} row */
  update({ versions: { steps } }) {
    if (steps === this.#version) return;
    this.#wanted = steps;
    void this.#latest.run();
  }

  async #fetch() {
    const wanted = this.#wanted;
    /** @type {RankView | null} */
    const view = await ask(`/api/runs/${this.run}/ranks`);
    this.#version = wanted;
    if (view === null) return fill(this.#sentences, h("li", { class: "quiet" }, "No step of several processes yet."));
    fill(
      this.#sentences,
      ...view.sentences.map((text, i) => h("li", { class: i === 0 && view.slow !== null ? "slow" : null }, `${text}.`)),
      view.since > 1 ? h("li", {}, `These processes make the steps since step ${whole(view.since)}.`) : null,
    );
    fill(this.#table, rankTable(view));
    this.#draw(view);
  }

  /** @param {RankView} view */
  #draw({ labels, step, work, wait, gradNorm, noiseScale }) {
    if (labels.join() !== this.#labels) {
      this.#labels = labels.join();
      const lines = labels.map((label, i) => ({
        label,
        color: seriesColors[i],
        ...(i % 2 === 0 ? {} : { dash: [6, 3] }),
      }));
      this.#charts = [
        new Chart("Work of a step", lines, { sync: "step", text: seconds }),
        new Chart("Waiting in a step", lines, { sync: "step", text: seconds }),
        new Chart("Gradient norm of each process", lines, { sync: "step", log: true }),
        new Chart("Gradient noise scale, images", [{ label: "images", color: "--accent" }], {
          sync: "step",
          log: true,
          none: "Not known yet: it takes the gradients of many steps.",
        }),
      ];
      fill(this.#place, ...this.#charts.map(({ element }) => element));
    }
    const columns = [work, wait, gradNorm, [noiseScale]];
    for (const [i, chart] of this.#charts.entries()) chart.show([step, ...columns[i]]);
  }
}

/** @param {RankView} view */
function rankTable({ ranks, slow }) {
  const head = ["Rank", "Machine", "Work", "of it loading", "Waiting", "Gradient norm"];
  return h(
    "table",
    { class: "panel" },
    h("caption", {}, "Means over the last hundred steps"),
    h("thead", {}, h("tr", {}, ...head.map((title) => h("th", { scope: "col" }, title)))),
    h(
      "tbody",
      {},
      ...ranks.map(({ rank, host, work, load, wait, gradNorm }) =>
        h(
          "tr",
          rank === slow ? { class: "strong" } : {},
          h(
            "th",
            { scope: "row", class: rank === slow ? "strong" : null },
            rank === slow ? `${rank} (slow)` : String(rank),
          ),
          ...[host === "" ? "–" : host, seconds(work), seconds(load), seconds(wait), brief(gradNorm)].map((text) =>
            h("td", {}, text),
          ),
        ),
      ),
    ),
  );
}
