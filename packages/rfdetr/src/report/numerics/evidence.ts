// The tensors at the place of a fault, and the modules that led there.
import type { TensorFacts, TrailEntry } from "@rfdetr/amp";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import { type Html, html, pathOf } from "../html/html.js";
import { table } from "../html/table.js";
import { brief } from "../html/words.js";

type Facts = TensorFacts & { what: string };

/** Two tables to open; null where the report has neither. */
export function evidence(report: OverflowReport): Html | null {
  const facts: Facts[] = [
    ...report.inputs.map((each) => ({ what: "input", ...each })),
    ...report.weights.map((each) => ({ what: "weight", ...each })),
    ...(report.output === null ? [] : [{ what: "output", ...report.output }]),
  ];
  if (facts.length === 0 && report.trail.length === 0) return null;
  return html`<details><summary>The tensors there, and what ran before</summary>
${facts.length > 0 && tensors(facts)}
${report.trail.length > 0 && trail(report.trail)}
</details>`;
}

function tensors(facts: readonly Facts[]): Html {
  return table(
    "Finite values, and how many are not",
    [
      { title: "what", cell: ({ what }: Facts) => what },
      { title: "name", cell: ({ name }) => pathOf(name) },
      { title: "dtype", cell: ({ dtype }) => dtype },
      { title: "shape", cell: ({ shape }) => shape.join(" × ") || "scalar" },
      { title: "least", number: true, cell: ({ min }) => brief(min) },
      { title: "greatest", number: true, cell: ({ max }) => brief(max) },
      { title: "NaN", number: true, cell: ({ nan }) => brief(nan) },
      { title: "infinite", number: true, cell: ({ infinite }) => brief(infinite) },
    ],
    facts,
  );
}

function trail(entries: readonly TrailEntry[]): Html {
  return table(
    "Modules that ran before, the oldest first",
    [
      { title: "module", cell: ({ path }: TrailEntry) => pathOf(path) },
      { title: "operator", cell: ({ operator }) => operator },
      { title: "dtype", cell: ({ dtype }) => dtype },
      { title: "largest", number: true, cell: ({ amax }) => brief(amax) },
    ],
    entries,
  );
}
