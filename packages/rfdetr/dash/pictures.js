// @ts-check
// The images of the last evaluation with truth and detections, which a slider filters; and the pictures of the run.
import { ask, Latest } from "./client.js";
import { fill, h, picture, s } from "./dom.js";
import { kindWords } from "./error-words.js";
import { epochText, lastEvaluationText, whole } from "./format.js";
import { LabelPlaces } from "./label-places.js";
import { Tag } from "./label-tag.js";

/** @import { KindWords } from "./error-words.js" */
/** @import { EvaluationView, RunDetails, RunRow } from "../src/dash/wire.js" */

/**
 * A detection on an image.
 * @typedef {object} Mark
 * @property {number} score
 * @property {number[]} corners
 * @property {SVGElement} frame
 * @property {Tag} tag
 */

/** Detections that are drawn on an image with few true objects; on others twice as many as there are true ones. */
const mostOfFew = 12;

/**
 * @param {string} kind
 * @param {EvaluationView | null} view whose detections are judged by their masks where it has figures of these
 */
function kindText(kind, view) {
  const words = /** @type {Record<string, KindWords>} */ (kindWords(view?.masks === undefined ? "box" : "mask"));
  return words[kind]?.name ?? kind;
}

export class Pictures {
  #version = -1;
  #latest = new Latest(() => this.#fetch());
  /** @type {EvaluationView | null} */
  #view = null;
  #threshold = 0.5;
  #only = "";
  #isSet = false;
  #slider = h("input", {
    type: "range",
    id: "confidence",
    min: 0.05,
    max: 1,
    step: 0.01,
    oninput: () => this.#slide(),
  });
  #shown = h("output", { for: "confidence", class: "when" });
  #truth = h("input", { type: "checkbox", id: "truth", checked: true, onchange: () => this.#draw() });
  #best = h("button", { type: "button", class: "button", onclick: () => this.#toBest() }, "Best threshold");
  #classes = h("div", { class: "classes", role: "group", "aria-label": "Classes" });
  #images = h("div", { class: "images" });
  /**
   * What is drawn on each image, the best detection first, and how many at most.
   * @type {{width: number, height: number, most: number, marks: Mark[]}[]}
   */
  #marks = [];
  #files = h("div", {});
  #none = h("p", { class: "quiet" });
  #whose = h("p", { class: "quiet whose" });
  #body = h(
    "div",
    {},
    this.#whose,
    h(
      "div",
      { class: "panel filters" },
      h("label", { for: "confidence" }, "Confidence from"),
      this.#slider,
      this.#shown,
      this.#best,
      h("label", { class: "check" }, this.#truth, " truth"),
      this.#classes,
    ),
    this.#images,
  );
  element = h("div", {}, this.#none, this.#body, this.#files);

  /** @param {string} run */
  constructor(run) {
    this.run = run;
    this.#body.hidden = true;
  }

  /** @param {RunRow} row @param {RunDetails} details */
  update({ versions: { evaluation } }, { pictures }) {
    if (evaluation === this.#version && this.#version !== -1) return;
    this.#version = evaluation;
    fill(this.#files, ...this.#gallery(pictures));
    void this.#latest.run();
  }

  async #fetch() {
    this.#view = await ask(`/api/runs/${this.run}/evaluation`);
    const view = this.#view;
    const isEmpty = view === null || view.images.length === 0;
    this.#body.hidden = isEmpty;
    this.#none.textContent = isEmpty ? "No images were kept of an evaluation. They come with the first one." : "";
    if (view === null || isEmpty) return;
    this.#whose.textContent = lastEvaluationText("Detections", view.origin);
    if (!this.#isSet) {
      this.#threshold = view.threshold ?? 0.5;
      this.#isSet = true;
    }
    this.#best.hidden = view.threshold === null;
    this.#slider.value = String(this.#threshold);
    const choice = (/** @type {string} */ name, /** @type {string | null} */ color, /** @type {string} */ text) =>
      h(
        "button",
        {
          type: "button",
          "aria-pressed": String(this.#only === name),
          "data-name": name,
          style: { "--mark": color ?? "transparent" },
          onclick: () => this.#pick(name),
        },
        text,
      );
    fill(this.#classes, choice("", null, "all"), ...view.classes.map(({ name, color }) => choice(name, color, name)));
    this.#draw();
  }

  /** @param {string} name */
  #pick(name) {
    this.#only = name;
    for (const button of this.#classes.querySelectorAll("button"))
      button.setAttribute("aria-pressed", String(button.dataset.name === name));
    this.#draw();
  }

  #toBest() {
    this.#threshold = this.#view?.threshold ?? 0.5;
    this.#slider.value = String(this.#threshold);
    this.#draw();
  }

  #slide() {
    this.#threshold = Number(this.#slider.value);
    this.#filter();
  }

  #draw() {
    const view = this.#view;
    if (view === null) return;
    this.#marks = [];
    fill(this.#images, ...view.images.map((image) => this.#image(view, image)));
    this.#filter();
  }

  /** @param {EvaluationView} view @param {EvaluationView["images"][number]} image */
  #image({ classes }, { image, file, width, height, worst, truths, detections }) {
    const [w, t] = [width ?? 1, height ?? 1];
    const isShown = (/** @type {number} */ label) => this.#only === "" || classes[label]?.name === this.#only;
    const thick = Math.max(w, t) / 260;
    const box = (/** @type {number[]} */ [left, top, right, bottom], /** @type {object} */ attributes) =>
      s("rect", {
        x: left,
        y: top,
        width: Math.max(0, right - left),
        height: Math.max(0, bottom - top),
        fill: "none",
        "stroke-width": thick,
        ...attributes,
      });
    const size = Math.max(w, t) / 24;
    const marks = detections
      .filter(({ label }) => isShown(label))
      .sort((a, b) => b.score - a.score)
      .map(({ box: corners, label, score: value, state }) => {
        const { name, color, ink } = classes[label] ?? { name: label, color: "#888888", ink: "#000000" };
        const text = `${name} ${value.toFixed(2)}`;
        const frame = s(
          "g",
          { class: "detection", "data-score": value },
          s("title", {}, `${text}: ${state === "correct" ? "right" : kindText(state, this.#view)}`),
          box(corners, { stroke: color, "stroke-width": thick * (state === "correct" ? 1.4 : 2) }),
        );
        return { score: value, corners, frame, tag: new Tag(text, { size, color, ink, limit: w }) };
      });
    const overlay = s(
      "svg",
      { viewBox: `0 0 ${w} ${t}`, class: "boxes", "aria-hidden": "true" },
      ...(this.#truth.checked ? truths : [])
        .filter(({ label }) => isShown(label))
        .map((truth) =>
          box(truth.box, { class: `truth ${truth.state}`, "stroke-dasharray": `${3 * thick} ${2 * thick}` }),
        ),
      // SVG paints in order: the best boxes last, and labels above all boxes.
      ...marks.map(({ frame }) => frame).reverse(),
      ...marks.map(({ tag }) => tag.element).reverse(),
    );
    const most = Math.max(mostOfFew, 2 * truths.length);
    this.#marks.push({ width: w, height: t, most, marks });
    return h(
      "figure",
      { class: "panel image" },
      h(
        "div",
        { class: "canvas", style: { "--ratio": `${w} / ${t}` } },
        image === null
          ? h("p", { class: "quiet" }, "The image is not at hand.")
          : picture(`/api/runs/${this.run}/images/${image}`, ""),
        overlay,
      ),
      h(
        "figcaption",
        {},
        h("span", { class: "file" }, file?.split("/").at(-1) ?? "no name"),
        h("span", { class: "counts quiet" }),
      ),
      worst.length === 0
        ? null
        : h(
            "p",
            { class: "quiet" },
            `Among the worst: ${worst.map(({ kind }) => kindText(kind, this.#view)).join(", ")}`,
          ),
    );
  }

  /** Hides what is below the slider or more than can be told apart, and gives the labels of the rest their places. */
  #filter() {
    this.#shown.value = this.#threshold.toFixed(2);
    for (const [i, figure] of [...this.#images.children].entries()) {
      const { width, height, most, marks } = this.#marks[i];
      const objects = marks
        .filter(({ score }) => score >= this.#threshold)
        .slice(0, most)
        .map(({ corners: [left, top, right, bottom] }) => ({ left, top, right, bottom }));
      const places = new LabelPlaces(width, height, objects);
      let reached = 0;
      for (const { score, corners, frame, tag } of marks) {
        if (score >= this.#threshold) reached++;
        const isShown = score >= this.#threshold && reached <= most;
        frame.toggleAttribute("hidden", !isShown);
        tag.element.toggleAttribute("hidden", !isShown);
        if (!isShown) continue;
        tag.place(places, corners);
      }
      const counts = figure.querySelector(".counts");
      if (counts !== null)
        counts.textContent = `${whole(reached)} detected${reached > most ? `, the best ${whole(most)} drawn` : ""}${this.#truth.checked ? `, ${whole(figure.querySelectorAll(".truth").length)} in the truth` : ""}`;
    }
  }

  /** @param {RunDetails["pictures"]} pictures */
  #gallery(pictures) {
    if (pictures.length === 0) return [];
    const path = (/** @type {string} */ file) => `/api/runs/${this.run}/pictures/${encodeURIComponent(file)}`;
    return [
      h("h2", {}, "Pictures of the run"),
      h(
        "div",
        { class: "gallery" },
        ...pictures.map(({ file, title, alt, width, height, epoch }) =>
          h(
            "figure",
            { class: "panel" },
            h(
              "a",
              { href: path(file) },
              h("img", { src: `${path(file)}?${this.#version}`, alt, width, height, loading: "lazy" }),
            ),
            h("figcaption", {}, h("span", {}, title), h("span", { class: "quiet" }, epochText(epoch ?? null))),
          ),
        ),
      ),
    ];
  }
}
