// @ts-check
// Parts and sentences of the microscope.
import { h } from "./dom.js";
import { bitsText, whole } from "./format.js";
import { flushedModules, flushedText } from "./headroom.js";

/** @import { ModuleSeries } from "../src/dash/wire.js" */
/** @import { Measure } from "./headroom.js" */

/** @param {string} name @param {[value: string, text: string][]} options @param {(value: string) => void} onChange */
export function choice(name, options, onChange) {
  const select = h(
    "select",
    { onchange: () => onChange(select.value) },
    ...options.map(([value, text]) => h("option", { value }, text)),
  );
  return h("label", { class: "choice" }, h("span", {}, name), select);
}

/** @param {number} bits @param {Measure} measure @param {number} step the watched step that is told of */
export const leastText = (bits, measure, step) =>
  `At step ${whole(step)}, the least headroom${measure === "float16" ? " of what 16-mixed has in float16" : ""}, ${bitsText(bits)} bits${measure === "as-run" ? "" : ` to the end of ${measure}`}, has `;

/** @param {Measure} measure */
export const beyondText = (measure) =>
  measure === "as-run" ? "A value is beyond its limit now: " : `A value would be beyond ${measure}: `;

/**
 * What float16 makes zero, or would make, which headroom does not tell.
 * @param {ModuleSeries[]} modules @param {string} precision of the run
 */
export function flushedLine(modules, precision) {
  const text = flushedText(flushedModules(modules, "gradient"), precision);
  return text === "" ? [] : [h("p", { class: "told-line" }, text)];
}

export function legend() {
  const texts = ["over", "< 1", "< 2.5", "< 5", "< 8", "≥ 8"];
  return h(
    "p",
    { class: "legend" },
    h("span", { class: "quiet" }, "bits of headroom"),
    ...texts.map((text, level) => h("span", { class: "key", "data-level": level }, text)),
  );
}
