// The modules of the model as a tree, coloured by how near their values are to the limits of float16.
import { headroomOf } from "@rfdetr/amp/records";
import { largestOf } from "../../support/lists.js";
import { exponentMap } from "../charts/heat-map.js";
import { type Html, html, nameOf, type Part, pathOf } from "../html/html.js";
import { subsection } from "../html/subsection.js";
import { type Column, table } from "../html/table.js";
import { bits, brief, counted, grouped, listed, percent } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import type { WatchedModule, WatchedSpan } from "../records/watched-spans.js";
import {
  type Dtype,
  float16Elsewhere,
  type ModuleSides,
  muchFlushed,
  type Overall,
  type RatedSide,
  type Rating,
  rateSide,
  ratings,
  ratingWords,
  type Side,
  worse,
} from "./overall.js";

/** Histograms that are drawn at most, so that the file stays small: two kilobytes each. */
const mostMaps = 600;

/** A part of a path of modules. */
interface Node {
  label: string;
  module: ModuleSides | null;
  children: Map<string, Node>;
}

/** The tree, with a table and histograms inside of each module. */
export function headroomTree(overall: Overall, { watched: spans, header }: NumericsRecord): Html | null {
  if (overall.modules.length === 0) return null;
  const root: Node = { label: "", module: null, children: new Map() };
  for (const module of overall.modules) insert(root, module);
  const drawn = new Set(byRisk(overall.modules).slice(0, mostMaps / 2));
  const left = overall.modules.length - drawn.size;
  const isOwn = overall.narrow === "float16";
  const scaled = isOwn ? ", with the loss scale of the run" : "";
  const inFloat16 = html`<p>How far the largest value of each module stayed from overflow in float16, in bits: one bit is a factor of two; and the share of its values that float16 makes zero. <b>out</b> is what a module computes, <b>grad</b> the gradient that comes back to it${scaled}. A group shows the worst of its modules. Open a module for its figures, in bfloat16 too, and for its exponents over time. Skipped steps are left out: what is not finite in one place spreads to all others.</p>${summary(overall)}<ul class="legend">${ratings.map((rating) => html`<li>${badge(rating, "")}<span>${ratingWords[rating].words}</span></li>`)}</ul><ul class="tree">${[...root.children.values()].map((node) => row(collapsed(node), { spans, drawn, narrow: overall.narrow }))}</ul>${left > 0 && html`<p>Histograms are drawn for the ${grouped(drawn.size)} modules with the least headroom; ${grouped(left)} others have their figures only.</p>`}`;
  const own = isOwn ? null : ownLimits(overall, header?.precision ?? "16-mixed");
  return subsection(
    "Headroom of every module",
    own ?? inFloat16,
    own !== null &&
      html`<details class="data"><summary>Every module by the limits of float16</summary>${inFloat16}</details>`,
  );
}

/** What a run without float16 has to know; null where a module came near the end of its own dtype. */
function ownLimits({ modules, narrow, seen }: Overall, precision: string): Html | null {
  const rated = modules.flatMap((module) => sides.map((side) => rateSide(module, side, narrow)));
  const elsewhere = rated.some(isAtItsEnd) ? null : float16Elsewhere(precision);
  const room = `Every module had room in ${narrow}, on the watched steps: ${seen}.`;
  return elsewhere === null ? null : html`<p>${room} <b>${elsewhere}</b></p>`;
}

function insert(root: Node, module: ModuleSides): void {
  let node = root;
  // What runs outside of the modules has a name in brackets, without parts.
  for (const label of module.path.startsWith("(") ? [module.path] : module.path.split(".")) {
    const child = node.children.get(label) ?? { label, module: null, children: new Map() };
    node.children.set(label, child);
    node = child;
  }
  node.module = module;
}

/** A node without figures and with one child becomes one line with it. */
function collapsed(node: Node): Node {
  const children = [...node.children.values()];
  if (node.module !== null || children.length !== 1) return node;
  return collapsed({ ...children[0], label: `${node.label}.${children[0].label}` });
}

/** The modules with the least headroom first. */
function byRisk(modules: readonly ModuleSides[]): ModuleSides[] {
  const risk = ({ forward, gradient }: ModuleSides): number =>
    Math.min(...[forward, gradient].flatMap((record) => (record === null ? [] : [headroomOf(record).fp16.overflow])));
  return [...modules].sort((a, b) => risk(a) - risk(b));
}

function summary({ modules, narrow, seen }: Overall): Html {
  const count = (rating: Rating): number => modules.filter((module) => ratingOf(module, narrow) === rating).length;
  const words = narrow === "float16" ? ["overflowed", "makes"] : ["beyond the end", "would make"];
  const parts = (["over", "tight", "near"] as const)
    .map((rating) => ({ rating, modules: count(rating) }))
    .filter((part) => part.modules > 0)
    .map(
      ({ rating, modules }) =>
        `${grouped(modules)} ${{ over: words[0], tight: "with less than 2 bits", near: "worth a look" }[rating]}`,
    );
  const wider = modules.filter((module) => isHeldWider(module, narrow)).length;
  if (wider > 0) parts.push(`${grouped(wider)} that float16 would hardly hold, in a wider dtype`);
  const zero = modules.filter((module) => sides.some((side) => losesMuch(rateSide(module, side, narrow)))).length;
  const flushed =
    zero === 0
      ? ""
      : ` Float16 ${words[1]} more than 5 % of the values zero in ${grouped(zero)} of these ${grouped(modules.length)}, of their outputs or gradients in any dtype.`;
  return html`<p>${parts.length === 0 ? `All ${grouped(modules.length)} modules had room` : `Of ${counted(modules.length, "watched module")}: ${listed(parts)}`}, on the watched steps: ${seen}.${flushed}</p>`;
}

/** Whether a side came near the end of its own dtype, or beyond it: then there is something to do in any precision. */
const isAtItsEnd = (side: RatedSide | null): boolean =>
  side !== null && (side.rating === "over" || side.limit !== "float16");

const sides = ["forward", "gradient"] as const;
const losesMuch = (side: RatedSide | null): boolean => side !== null && side.flushed > muchFlushed;

/** Whether float16 would be too narrow for a side of a module whose other values have room. */
const isHeldWider = (module: ModuleSides, narrow: Dtype): boolean =>
  ["room", "unknown"].includes(ratingOf(module, narrow)) &&
  sides.some((side) => rateSide(module, side, narrow)?.rating === "unknown");

const ratingOf = (module: ModuleSides, narrow: Dtype): Rating =>
  sides.map((side) => rateSide(module, side, narrow)?.rating ?? "unknown").reduce(worse);

const badge = (rating: Rating, text: Part): Html =>
  html`<span class="badge ${rating}">${ratingWords[rating].sign}${text !== "" && " "}${text}</span>`;

interface Drawing {
  spans: readonly WatchedSpan[];
  drawn: ReadonlySet<ModuleSides>;
  narrow: Dtype;
}

function row(node: Node, drawing: Drawing): Html {
  const children = [...node.children.values()].map(collapsed);
  const head = html`<span class="row">${pathOf(node.label)}${sides.map((side) => sideBadge(node, side, drawing.narrow))}</span>`;
  const own = node.module === null ? null : moduleFigures(node.module, drawing);
  const list = html`<ul>${children.map((child) => row(child, drawing))}</ul>`;
  // What a group is made of comes before its own figures, which would hide it.
  const inner =
    children.length === 0
      ? html`<div class="more">${own}</div>`
      : html`${own !== null && html`<details class="data own"><summary>its own figures</summary><div class="more">${own}</div></details>`}${list}`;
  return html`<li><details><summary>${head}</summary>${inner}</details></li>
`;
}

/** The worst of a group, or the module itself. */
function sideBadge(node: Node, side: Side, narrow: Dtype): Html | null {
  const modules = [...below(node)];
  const seen = modules.flatMap((module) => rateSide(module, side, narrow) ?? []);
  if (seen.length === 0) return null;
  const rating = seen.map((each) => each.rating).reduce(worse);
  // A module in a wider dtype must not lend its figures to a group of others that have room.
  const alike = seen.filter((each) => each.rating === rating);
  const least = alike.reduce((a, b) => (b.bits < a.bits ? b : a));
  // What has room in a wider dtype loses nothing.
  const flushed = largestOf(alike.map((each) => (each.isWider && rating === "room" ? 0 : each.flushed)));
  const name = side === "forward" ? "out" : "grad";
  const of = least.limit === "float16" ? "" : ` of ${least.limit}`;
  const skipped = side === "gradient" && modules.some(({ gradientOverflowed }) => gradientOverflowed);
  return badge(
    rating,
    html`${name} ${bits(least.bits)}${of}${flushed > 0.01 && ` · ${percent(flushed)} zero`}${skipped && " · overflowed in a skipped step"}`,
  );
}

function* below(node: Node): Generator<ModuleSides> {
  if (node.module !== null) yield node.module;
  for (const child of node.children.values()) yield* below(child);
}

function moduleFigures(module: ModuleSides, { spans, drawn }: Drawing): Html {
  const figures = sides.flatMap((side): SideFigures[] => {
    const record = module[side];
    return record === null ? [] : [{ side, record, room: headroomOf(record) }];
  });
  return html`${table(
    "Bits to overflow above, and to the smallest normal number below",
    [
      { title: "over all watched steps", cell: ({ name }: Measure) => name },
      ...figures.map(
        (each): Column<Measure> => ({
          title: each.side === "forward" ? "outputs" : "gradients",
          number: true,
          cell: ({ of }) => of(each),
        }),
      ),
    ],
    measures,
  )}${figures.map(({ side, record }) => largest(side, record))}${drawn.has(module) && html`<div class="figures">${figures.map(({ side }) => map(module, side, spans))}</div>`}`;
}

interface SideFigures {
  side: Side;
  record: WatchedModule;
  room: ReturnType<typeof headroomOf>;
}

interface Measure {
  name: string;
  of: (side: SideFigures) => string;
}

const measures: readonly Measure[] = [
  { name: "dtype", of: ({ record }) => record.dtype.replaceAll(" ", ", ") },
  { name: "largest absolute value", of: ({ record }) => brief(record.amax) },
  { name: "float16, above", of: ({ room }) => bits(room.fp16.overflow) },
  { name: "float16, below", of: ({ room }) => bits(room.fp16.underflow) },
  { name: "bfloat16, above", of: ({ room }) => bits(room.bf16.overflow) },
  { name: "bfloat16, below", of: ({ room }) => bits(room.bf16.underflow) },
  { name: "zero in float16", of: ({ record }) => percent(record.fp16_flush) },
  { name: "not finite", of: ({ record }) => percent(record.non_finite) },
];

function largest(side: Side, { largest, step, file }: WatchedModule): Html {
  return html`<p>The largest ${side === "forward" ? "output" : "gradient"} was ${brief(largest.value)}, at [${largest.index.join(", ")}] in step ${grouped(step)}${file !== undefined && html`, made by the image ${nameOf(file)}`}.</p>`;
}

function map({ path }: ModuleSides, side: Side, spans: readonly WatchedSpan[]): Html | null {
  const columns = spans.map((span) => span[side].find((module) => module.path === path)?.exponents ?? null);
  if (columns.every((column) => column === null || column.counts.length === 0)) return null;
  const what = side === "forward" ? "outputs" : "gradients";
  return html`<figure><figcaption>${what}</figcaption>${exponentMap(
    `The ${what} of ${path} by their binary exponent, over the watched steps. The table above has the figures.`,
    spans.map(({ last }) => last),
    columns,
    { height: 210 },
  )}</figure>`;
}
