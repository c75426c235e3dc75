// @ts-check
// Parts and sentences of the microscope.
import { h } from "./dom.js";
import { bitsText, whole } from "./format.js";
import { flushedModules } from "./headroom.js";

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

/** @param {number} bits @param {Measure} measure */
export const leastText = (bits, measure) =>
  `The least headroom${measure === "float16" ? " of what 16-mixed has in float16" : ""}, ${bitsText(bits)} bits${measure === "as-run" ? "" : ` to the end of ${measure}`}, has `;

/** @param {Measure} measure */
export const beyondText = (measure) =>
  measure === "as-run" ? "A value is beyond its limit now: " : `A value would be beyond ${measure}: `;

/** What float16 would make zero, which headroom does not tell. @param {ModuleSeries[]} modules */
export function flushedLine(modules) {
  const { count, of } = flushedModules(modules, "gradient");
  if (count === 0) return [];
  const text = `float16 would make more than 5 % of the gradients zero in ${whole(count)} of ${whole(of)} modules`;
  return [h("p", { class: "told-line" }, `With the loss scale of this run, ${text} on a watched step.`)];
}

/**
 * What the limits mean where they are not those of the run, and what bfloat16 loses instead of range.
 * @param {string} precision @param {Measure} measure
 */
export function limitsText(precision, measure) {
  const shown =
    measure === "float16" && precision !== "16-mixed" ? "These are the limits that 16-mixed would have. " : "";
  if (precision !== "bf16-mixed" || measure === "bfloat16") return shown.trim();
  return `${shown}bfloat16 reaches as far as float32, and loses precision instead: it keeps 8 bits of each value, where float16 keeps 11 and float32 24.`;
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
