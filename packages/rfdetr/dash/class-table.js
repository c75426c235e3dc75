// @ts-check
// The figures of the classes as a table.
import { h } from "./dom.js";
import { score, whole } from "./format.js";

/** @import { EvaluationView } from "../src/dash/wire.js" */

/** @param {EvaluationView} view */
export function classTable({ classes, masks }) {
  const figures = masks === undefined ? ["AP", "AP50"] : ["Mask AP", "Mask AP50", "Box AP"];
  const header = ["Class", "Objects", ...figures, "Threshold", "Precision", "Recall"];
  return h(
    "table",
    {},
    h("thead", {}, h("tr", {}, ...header.map((text) => h("th", { scope: "col" }, text)))),
    h(
      "tbody",
      {},
      ...classes.map(({ name, color, instances, maskAP, maskAP50, AP, AP50, best }) =>
        h(
          "tr",
          {},
          h("th", { scope: "row" }, h("span", { class: "dot", style: { "--mark": color } }), name),
          ...[
            whole(instances),
            ...(masks === undefined ? [AP, AP50] : [maskAP, maskAP50, AP]).map(score),
            best?.threshold.toFixed(2) ?? "–",
            score(best?.precision),
            score(best?.recall),
          ].map((text) => h("td", {}, text)),
        ),
      ),
    ),
  );
}
