// @ts-check
// The list of all runs.
import { fill, h, s } from "./dom.js";
import { ago, bestText, epochText, ofPlan, whole } from "./format.js";

/** @import { RunRow } from "../src/dash/wire.js" */
/** @import { Live } from "./client.js" */

export const stateText = {
  running: "training",
  paused: "paused",
  finished: "finished",
  interrupted: "stopped",
  failed: "failed",
  killed: "broken off",
};

/** A small curve of AP by epoch. @param {(number | null)[]} values */
function spark(values) {
  const points = values.flatMap((value, i) =>
    value === null ? [] : [{ x: (i / Math.max(1, values.length - 1)) * 96 + 2, value }],
  );
  const most = Math.max(0.01, ...points.map(({ value }) => value));
  const text = points.map(({ x, value }) => `${x.toFixed(1)},${(22 - (value / most) * 19).toFixed(1)}`).join(" ");
  const last = points.at(-1);
  return s(
    "svg",
    { viewBox: "0 0 100 24", class: "spark", "aria-hidden": "true" },
    points.length > 1 ? s("polyline", { points: text }) : null,
    last === undefined ? null : s("circle", { cx: last.x, cy: 22 - (last.value / most) * 19, r: 2 }),
  );
}

export class RunsView {
  /** @type {Map<string, {row: RunRow, line: HTMLElement}>} */
  #lines = new Map();
  /** @type {Set<string>} */
  #chosen = new Set();
  #body = h("tbody");
  #none = h(
    "p",
    { class: "quiet" },
    "There are no runs in this folder yet. They appear here as soon as a training begins.",
  );
  #compare = h("button", { type: "button", class: "button primary", onclick: () => this.#go() });
  #count = h("p", { class: "quiet" });
  element = h(
    "section",
    { class: "runs" },
    h("header", { class: "page-head" }, h("h1", {}, "Runs"), this.#count, this.#compare),
    h(
      "table",
      { class: "panel run-table" },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...["Compare", "Run", "State", "Epoch", "Best AP", "AP by epoch", "Precision", "Skipped", "Written"].map(
            (text) => h("th", { scope: "col" }, text === "Compare" ? h("span", { class: "unseen" }, text) : text),
          ),
        ),
      ),
      this.#body,
    ),
    this.#none,
  );

  /** @param {Live} live */
  update(live) {
    const rows = live.list;
    const ids = new Set(rows.map(({ id }) => id));
    for (const id of this.#lines.keys()) if (!ids.has(id)) this.#lines.delete(id);
    for (const row of rows) {
      const known = this.#lines.get(row.id);
      if (known?.row === row) continue;
      const line = this.#line(row);
      if (known !== undefined) this.#replace(known.line, line);
      this.#lines.set(row.id, { row, line });
    }
    const lines = rows.map(({ id }) => /** @type {HTMLElement} */ (this.#lines.get(id)?.line));
    if (lines.length !== this.#body.children.length || lines.some((line, i) => this.#body.children[i] !== line))
      fill(this.#body, ...lines);
    this.#none.hidden = rows.length > 0 || !live.told;
    const training = rows.filter(({ state }) => state === "running").length;
    this.#count.textContent =
      rows.length === 0
        ? ""
        : `${whole(rows.length)} in this folder, ${training === 0 ? "none" : whole(training)} training`;
    this.#showCompare();
  }

  /**
   * Puts a line in the place of another without losing the focus.
   * @param {HTMLElement} before
   * @param {HTMLElement} after
   */
  #replace(before, after) {
    const name = before.contains(document.activeElement)
      ? /** @type {HTMLElement} */ (document.activeElement).dataset.name
      : undefined;
    before.replaceWith(after);
    if (name !== undefined) /** @type {HTMLElement | null} */ (after.querySelector(`[data-name="${name}"]`))?.focus();
  }

  /** @param {RunRow} row */
  #line({
    id,
    name,
    state,
    model,
    epoch,
    epochs,
    share,
    now,
    best,
    bestEpoch,
    ofMasks,
    curve,
    precision,
    skipped,
    written,
    error,
  }) {
    const box = h("input", {
      type: "checkbox",
      "data-name": "box",
      "aria-label": `Compare ${name}`,
      checked: this.#chosen.has(id),
      onchange: () => this.#choose(id, box.checked),
    });
    return h(
      "tr",
      {},
      h("td", { class: "pick" }, box),
      h(
        "th",
        { scope: "row" },
        h("a", { href: `#/run/${id}`, "data-name": "link" }, name),
        h("span", { class: "quiet model" }, model ?? ""),
      ),
      h("td", {}, h("span", { class: `state ${state}`, title: error }, stateText[state])),
      h(
        "td",
        { class: "progress" },
        h("span", {}, [ofPlan(epoch, epochs), ...(now?.left ? [now.left] : [])].join(" · ")),
        h("span", { class: "bar", "aria-hidden": "true", style: { "--share": String(share) } }),
      ),
      h(
        "td",
        { class: "number strong" },
        bestText(best, ofMasks),
        h("span", { class: "quiet of" }, epochText(bestEpoch)),
      ),
      h("td", { class: "curve" }, spark(curve)),
      h("td", { class: "precision" }, precision ?? "–"),
      h("td", { class: "number skipped" }, whole(skipped)),
      h("td", { class: "written quiet" }, ago(written)),
    );
  }

  /** @param {string} id @param {boolean} isChosen */
  #choose(id, isChosen) {
    if (isChosen) this.#chosen.add(id);
    else this.#chosen.delete(id);
    this.#showCompare();
  }

  #showCompare() {
    const count = [...this.#chosen].filter((id) => this.#lines.has(id)).length;
    this.#compare.disabled = count < 2;
    this.#compare.textContent = count < 2 ? "Choose runs to compare" : `Compare ${count} runs`;
  }

  #go() {
    location.hash = `#/compare/${[...this.#chosen].join("+")}`;
  }
}
