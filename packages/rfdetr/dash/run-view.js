// @ts-check
// One run: what it is, what can be asked of it, and its curves, numerics, pictures and settings.

import { classTable } from "./class-table.js";
import { ask, Latest } from "./client.js";
import { Controls } from "./controls.js";
import { Curves } from "./curves.js";
import { fill, h } from "./dom.js";
import { ago, epochText, lastEvaluationText, ofPlan, score, whole } from "./format.js";
import { Microscope } from "./microscope.js";
import { Pictures } from "./pictures.js";
import { Processes } from "./processes.js";
import { stateText } from "./runs-view.js";

/** @import { RunDetails, RunRow } from "../src/dash/wire.js" */
/** @import { Live } from "./client.js" */

/** @typedef {"curves" | "numerics" | "processes" | "pictures" | "classes" | "settings"} Tab */

/** @type {[Tab, string][]} */
const tabs = [
  ["curves", "Curves"],
  ["numerics", "Numerics"],
  ["processes", "Processes"],
  ["pictures", "Pictures"],
  ["classes", "Classes"],
  ["settings", "Settings"],
];

export class RunView {
  /** @type {RunDetails | null} */
  #details = null;
  /** @type {RunRow | null} */
  #row = null;
  #seen = "";
  #latest = new Latest(() => this.#fetch());
  #controls;
  #title = h("h1", {}, "…");
  #state = h("span", { class: "state" });
  #facts = h("dl", { class: "facts" });
  #faults = h("ul", { class: "warnings" });
  #panel = h("div", { role: "tabpanel", id: "panel" });
  #list = h("div", {
    role: "tablist",
    "aria-label": "Parts of the run",
    class: "tabs",
    onkeydown: (/** @type {KeyboardEvent} */ event) => this.#key(event),
  });
  /** @type {{element: HTMLElement, update: (row: RunRow, details: RunDetails) => void} | null} */
  #part = null;

  /** @param {string} id @param {Tab} tab @param {(text: string) => void} tell */
  constructor(id, tab, tell) {
    this.id = id;
    this.tab = tab;
    this.#controls = new Controls(id, tell);
    for (const [name, text] of tabs)
      this.#list.append(
        h(
          "a",
          { role: "tab", id: `tab-${name}`, href: `#/run/${id}/${name}`, "aria-controls": "panel", "data-tab": name },
          text,
        ),
      );
    this.element = h(
      "section",
      {},
      h("header", { class: "page-head" }, this.#title, this.#state, this.#controls.element),
      this.#facts,
      this.#faults,
      this.#list,
      this.#panel,
    );
    this.show(tab);
  }

  /** @param {Tab} tab */
  show(tab) {
    if (this.#part !== null && tab === this.tab) return;
    this.tab = tab;
    for (const link of this.#list.querySelectorAll("a")) {
      const isShown = link.dataset.tab === tab;
      link.setAttribute("aria-selected", String(isShown));
      link.tabIndex = isShown ? 0 : -1;
    }
    this.#panel.setAttribute("aria-labelledby", `tab-${tab}`);
    if (tab === "curves") this.#part = new Curves(this.id);
    else if (tab === "numerics") this.#part = new Microscope(this.id, (pattern) => this.#controls.askOverride(pattern));
    else if (tab === "processes") this.#part = new Processes(this.id);
    else if (tab === "pictures") this.#part = new Pictures(this.id);
    else this.#part = tab === "classes" ? new Classes(this.id) : new Settings();
    fill(this.#panel, this.#part.element);
    this.#show();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (by === undefined) return;
    const links = [...this.#list.querySelectorAll("a")].filter(({ hidden }) => !hidden);
    const next = links[(links.findIndex((link) => link.dataset.tab === this.tab) + by + links.length) % links.length];
    location.hash = next.hash;
    next.focus();
    event.preventDefault();
  }

  /** @param {Live} live */
  update(live) {
    const row = live.rows.get(this.id) ?? null;
    if (row === null) {
      if (live.told) fill(this.#panel, h("p", { class: "quiet" }, "This run is not in the folder any more."));
      return;
    }
    if (row === this.#row) return;
    this.#row = row;
    const seen = `${row.state} ${row.step > 0} ${row.versions.evaluation} ${row.versions.epochs}`;
    if (seen === this.#seen) return this.#show();
    this.#seen = seen;
    void this.#latest.run();
  }

  async #fetch() {
    this.#details = (await ask(`/api/runs/${this.id}/details`)) ?? this.#details;
    this.#show();
  }

  #show() {
    const [row, details] = [this.#row, this.#details];
    if (row === null || details === null) return;
    const { name, state, model, precision, best, bestEpoch, ofMasks, now, written, error } = row;
    this.#title.textContent = name;
    document.title = `${name} · rfdetr dash`;
    this.#state.textContent = stateText[state];
    this.#state.className = `state ${state}`;
    const fact = (
      /** @type {string} */ title,
      /** @type {string | null} */ value,
      /** @type {string | null} */ hint = null,
    ) => (value === null ? null : h("div", { title: hint }, h("dt", {}, title), h("dd", {}, value)));
    fill(
      this.#facts,
      fact(
        [ofMasks ? "best mask AP" : "best AP", epochText(bestEpoch)].filter((text) => text !== "").join(", "),
        score(best),
      ),
      fact("time", now?.left ?? null),
      fact("epoch", `${ofPlan(row.epoch, row.epochs)} ${now?.done ?? ""}`),
      fact("loss", now?.loss ?? null),
      fact("step", ofPlan(row.step, row.steps)),
      fact("skipped", whole(row.skipped)),
      fact("model", model),
      fact("precision", precision, details.config.reason),
      fact(
        "images",
        details.config.images.train === null
          ? null
          : `${whole(details.config.images.train)} + ${whole(details.config.images.valid ?? 0)}`,
        "training and validation",
      ),
      fact("processes", details.processes < 2 ? null : whole(details.processes)),
      fact("written", ago(written)),
      ...Object.entries(details.overrides).map(([pattern, rule]) => fact("override", `${pattern}: ${rule}`)),
    );
    const faults = [...(error === null ? [] : [error]), ...details.faults];
    fill(this.#faults, ...faults.map((text) => h("li", {}, text)));
    for (const link of this.#list.querySelectorAll("a"))
      link.hidden = link.dataset.tab === "processes" && details.processes < 2 && this.tab !== "processes";
    this.#controls.update(details.controls);
    this.#part?.update(row, details);
  }
}

/** The figures of the classes. */
class Classes {
  #version = -1;
  element = h("div", { class: "scroll" });

  /** @param {string} run */
  constructor(run) {
    this.run = run;
  }

  /** @param {RunRow} row */
  async update({ versions: { evaluation } }) {
    if (evaluation === this.#version) return;
    this.#version = evaluation;
    const view = await ask(`/api/runs/${this.run}/evaluation`);
    const quiet = (/** @type {string} */ text) => h("p", { class: "quiet whose" }, text);
    if (view === null) fill(this.element, quiet("No epoch was evaluated yet."));
    else fill(this.element, quiet(lastEvaluationText("Figures", view.origin)), classTable(view));
  }
}

/** The settings as they were resolved. */
class Settings {
  element = h("div", {});
  #isShown = false;

  /** @param {RunRow} _ @param {RunDetails} details */
  update(_, { config: { settings, hardware, seed, reason, classes } }) {
    if (this.#isShown) return;
    this.#isShown = true;
    const rows = Object.entries({
      hardware,
      "precision because": reason,
      classes: classes.join(", "),
      ...settings,
      // The one that was drawn, where none was set.
      seed,
    });
    fill(
      this.element,
      h(
        "div",
        { class: "scroll" },
        h(
          "table",
          { class: "panel settings" },
          h(
            "tbody",
            {},
            ...rows.map(([name, value]) =>
              h(
                "tr",
                {},
                h("th", { scope: "row" }, name),
                h("td", {}, typeof value === "string" ? value : JSON.stringify(value)),
              ),
            ),
          ),
        ),
      ),
    );
  }
}
