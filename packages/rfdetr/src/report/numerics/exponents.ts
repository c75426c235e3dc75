// The exponents of all outputs and of all gradients of the model over time.

import { power } from "../../charts/axis.js";
import { largestOf, smallestOf } from "../../support/lists.js";
import { figure } from "../charts/figure.js";
import { type Exponents, exponentMap } from "../charts/heat-map.js";
import { type Html, html } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import type { Column } from "../html/table.js";
import { grouped, percent } from "../html/words.js";
import type { WatchedSpan } from "../records/watched-spans.js";
import type { Dtype } from "./overall.js";

/** Exponents of float16: of its largest and its smallest normal numbers, and of those that it does not make zero. */
const float16 = { largest: 15, normal: -14, smallest: -25 } as const;

/** What the picture says of the dtype of the run. */
const dtypeWords: Readonly<Record<Dtype, string>> = {
  float16:
    "Values above the upper line overflow float16, those below the lowest become zero in it. Bfloat16 and float32 reach from 2⁻¹²⁶ to 2¹²⁷, far beyond the picture. Gradients are shown with the loss scale, as float16 must hold them.",
  bfloat16: "Bfloat16 reaches from 2⁻¹²⁶ to 2¹²⁷, as float32 does: its ends are far beyond the picture.",
  float32:
    "Float32 reaches from 2⁻¹²⁶ to 2¹²⁷, far beyond the picture, and so does bfloat16. Float16 does not: values above the upper line would overflow it, and those below the lowest would become zero.",
};

/** Two maps: outputs and gradients. @param narrow the narrowest dtype of the run */
export function exponents(spans: readonly WatchedSpan[], narrow: Dtype = "float16"): Html | null {
  const maps = (["forward", "gradient"] as const).map((side) => map(spans, side, narrow));
  if (maps.every((each) => each === null)) return null;
  return subsection(
    "Exponents over time",
    html`<p>How large the values are, by powers of two: dark where most of them lie. ${dtypeWords[narrow]}</p>`,
    html`<div class="figures">${maps}</div>`,
  );
}

function map(spans: readonly WatchedSpan[], side: "forward" | "gradient", narrow: Dtype): Html | null {
  const columns = spans.map((span) => sumOf(span[side].map(({ exponents }) => exponents)));
  if (columns.every(({ counts }) => counts.length === 0)) return null;
  const steps = spans.map(({ last }) => last);
  const rows = columns.map((column, i) => ({ step: steps[i], ...sharesOf(column) })).filter(({ total }) => total > 0);
  type Row = (typeof rows)[number];
  const what = side === "forward" ? "outputs" : "gradients";
  const hasLimits = narrow !== "bfloat16";
  const below = hasLimits ? " The numbers below say which share lies outside of float16." : "";
  return figure({
    title: side === "forward" ? "Outputs of all modules" : "Gradients of all modules",
    chart: exponentMap(
      `The ${what} of all modules by their binary exponent over ${grouped(steps.length)} watched steps.${below}`,
      steps,
      columns,
      { float16: hasLimits },
    ),
    columns: [
      { title: "step", number: true, cell: ({ step }: Row) => grouped(step) },
      { title: "middle value", number: true, cell: ({ middle }) => power(2, middle) },
      ...(hasLimits ? ofFloat16<Row>() : []),
    ],
    rows,
  });
}

const ofFloat16 = <Row extends ReturnType<typeof sharesOf>>(): Column<Row>[] => [
  { title: "beyond float16", number: true, cell: ({ beyond }) => percent(beyond) },
  { title: "fewer bits", number: true, cell: ({ subnormal }) => percent(subnormal) },
  { title: "zero in float16", number: true, cell: ({ zero }) => percent(zero) },
];

function sumOf(histograms: readonly Exponents[]): Exponents {
  const filled = histograms.filter(({ counts }) => counts.length > 0);
  if (filled.length === 0) return { first: 0, counts: [] };
  const first = smallestOf(filled.map((each) => each.first));
  const end = largestOf(filled.map((each) => each.first + each.counts.length));
  const counts = new Array<number>(end - first).fill(0);
  for (const { first: start, counts: values } of filled)
    values.forEach((count, i) => {
      counts[start + i - first] += count;
    });
  return { first, counts };
}

/** Shares of the values other than zero. */
function sharesOf({ first, counts }: Exponents): {
  total: number;
  middle: number;
  beyond: number;
  subnormal: number;
  zero: number;
} {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const share = (low: number, high: number): number =>
    counts.reduce((sum, count, i) => (first + i >= low && first + i < high ? sum + count : sum), 0) / total;
  let middle = first;
  for (let below = counts[0] ?? 0; below < total / 2; ) below += counts[++middle - first];
  const all = 10_000;
  return {
    total,
    middle,
    beyond: share(float16.largest + 1, all),
    subnormal: share(float16.smallest, float16.normal),
    zero: share(-all, float16.smallest),
  };
}
