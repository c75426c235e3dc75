// @ts-check
// What can be asked of a run while it trains: pause, go on, another precision for a module, undo, stop.
import { control } from "./client.js";
import { fill, h } from "./dom.js";

/** @import { Control, ControlRequest } from "../src/dash/wire.js" */

/** @type {Record<Exclude<Control, "override">, string>} */
const texts = { pause: "Pause", "go-on": "Go on", undo: "Undo the last override", stop: "Stop…" };

/** @type {[rule: string, text: string][]} */
const rules = [
  ["fp32", "float32: the widest range, and the slowest"],
  ["bf16", "bfloat16: the range of float32, with fewer digits"],
  ["lower", "the low precision of the run"],
  ["keep", "the dtype of what comes in"],
];

export class Controls {
  #dialog = h("dialog", { class: "panel dialog" });
  #buttons = h("div", { class: "buttons" });
  #shown = "";
  element = h("div", { class: "controls" }, this.#buttons, this.#dialog);

  /** @param {string} run @param {(text: string) => void} tell */
  constructor(run, tell) {
    this.run = run;
    this.tell = tell;
  }

  /** @param {Control[]} controls */
  update(controls) {
    const shown = controls.filter((each) => each !== "override");
    if (shown.join() === this.#shown) return;
    this.#shown = shown.join();
    fill(
      this.#buttons,
      ...shown.map((each) =>
        h(
          "button",
          {
            type: "button",
            class: `button ${each}`,
            onclick: () =>
              each === "stop" ? this.#askStop() : void this.#send(/** @type {ControlRequest} */ ({ command: each })),
          },
          texts[/** @type {"stop"} */ (each)],
        ),
      ),
    );
  }

  /** @param {ControlRequest} request */
  async #send(request) {
    this.#dialog.close();
    this.tell("Asked. The run answers after the step that it is at.");
    try {
      this.tell(await control(this.run, request));
    } catch (error) {
      this.tell(/** @type {Error} */ (error).message);
    }
  }

  #askStop() {
    this.#open(
      "Stop this run?",
      [h("p", {}, "It saves a checkpoint first, so that it can be continued.")],
      "Stop the run",
      () => ({ command: "stop" }),
    );
  }

  /** Asks for another precision of a module. @param {string} path */
  askOverride(path) {
    const pattern = h("input", {
      type: "text",
      value: path.replace(/\.\d+(?=\.|$)/g, ".*"),
      required: true,
      spellcheck: "false",
    });
    const rule = h("select", {}, ...rules.map(([value, text]) => h("option", { value }, text)));
    this.#open(
      "Change the precision of modules",
      [
        h("label", {}, h("span", {}, "Modules whose path matches"), pattern),
        h("label", {}, h("span", {}, "compute in"), rule),
        h("p", { class: "quiet" }, "It holds from the next step on. The run records it, and continues with it."),
      ],
      "Change",
      () => ({ command: "override", pattern: pattern.value.trim(), rule: rule.value }),
    );
  }

  /** @param {string} title @param {HTMLElement[]} content @param {string} yes @param {() => ControlRequest} request */
  #open(title, content, yes, request) {
    fill(
      this.#dialog,
      h(
        "form",
        {
          method: "dialog",
          onsubmit: (/** @type {SubmitEvent} */ event) => {
            event.preventDefault();
            void this.#send(request());
          },
        },
        h("h2", {}, title),
        ...content,
        h(
          "div",
          { class: "buttons" },
          h("button", { type: "submit", class: "button primary" }, yes),
          h("button", { type: "button", class: "button", onclick: () => this.#dialog.close() }, "Cancel"),
        ),
      ),
    );
    this.#dialog.showModal();
  }
}
