// The numerics of a run in a few sentences.
import type { ModuleRecord } from "@rfdetr/amp";
import { headroomOf } from "@rfdetr/amp/records";
import { power } from "../../charts/axis.js";
import { type Html, html, pathOf } from "../html/html.js";
import { bits, counted, grouped, percent } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import { type ScaleEnd, scaleRange } from "./loss-scales.js";
import { type Dtype, isIn, muchFlushed, nearestToEnd, type Overall, type Side } from "./overall.js";

/** What to know before the details. */
export function inShort(numerics: NumericsRecord, overall: Overall | null): Html | null {
  const inFloat16 =
    overall === null ? [] : [leastRoom(overall, "forward"), leastRoom(overall, "gradient"), scales(numerics, overall)];
  const isFloat16 = overall?.narrow === "float16";
  const own = list([
    skipped(numerics),
    overflowed(numerics),
    overall && watched(numerics, overall),
    ...(isFloat16 ? inFloat16 : [overall && ownRange(overall)]),
  ]);
  if (overall === null || isFloat16) return own;
  const isWide = overall.narrow === "float32";
  const others = list([isWide ? inBfloat16() : null, ...inFloat16]);
  const title = isWide ? "What half precision would have done" : "What float16 would have done, in 16-mixed";
  return html`${own}${others !== null && html`<details class="data"><summary>${title}</summary>${others}</details>`}`;
}

function list(sentences: readonly (Html | null)[]): Html | null {
  const there = sentences.filter((sentence) => sentence !== null);
  return there.length === 0 ? null : html`<ul>${there.map((sentence) => html`<li>${sentence}</li>`)}</ul>`;
}

/** How far the values of a run without float16 stayed from the end of their dtype, and what the dtype costs instead. */
function ownRange(overall: Overall): Html | null {
  const { narrow } = overall;
  const nearest = nearestToEnd(overall);
  if (nearest === null) return null;
  const { path, side, left, step } = nearest;
  const what = html`${side === "forward" ? "the outputs" : "the gradients"} of ${pathOf(path)}`;
  const words =
    left < fewBits
      ? html`Close to overflow in ${narrow} were ${what}`
      : html`Nothing came near the end of ${narrow}: nearest were ${what}`;
  const cost =
    narrow === "bfloat16"
      ? " Bfloat16 has the range of float32, and keeps 8 bits of each value, where float16 keeps 11 and float32 24: what it costs is precision, not range."
      : "";
  return html`${words}, with ${bits(left)} bits left at step ${grouped(step)}.${cost}`;
}

const inBfloat16 = (): Html =>
  html`Bfloat16 has the range of float32: it would have overflowed where float32 did, and nowhere else. It keeps 8 bits of each value, where float32 keeps 24.`;

/** The bits to overflow below which values are close to it. */
const fewBits = 5;

function skipped({ steps, skipped, overflows, header, rollbacks }: NumericsRecord): Html | null {
  if (steps === 0) return null;
  const precision = header?.precision ?? "this precision";
  if (skipped === 0)
    return html`${steps === 1 ? "The only step" : `All ${grouped(steps)} steps`} in ${precision} ${steps === 1 ? "was" : "were"} applied: nothing overflowed.`;
  // A finite forward and loss under a scale: the scaler looks for the largest scale that fits.
  const search = overflows.entries.filter(({ phase, scale }) => phase === "backward" && scale > 1).length;
  const isSearch = search > 0 && search === overflows.entries.length;
  return html`${counted(skipped, "step")} of ${grouped(steps)} in ${precision} changed nothing${isSearch && ", because the loss scale was too large for a gradient: the scaler finds its scale in this way"}.${rollbacks.total > 0 && ` The run went back to a checkpoint ${counted(rollbacks.total, "time")}.`}`;
}

/** The first module whose output overflowed, and whether that was foreseen. */
function overflowed({ overflows, forecasts }: NumericsRecord): Html | null {
  const fault = overflows.entries.find(({ phase, module }) => phase === "forward" && module !== null);
  if (fault === undefined || fault.module === null) return null;
  const seen = forecasts.find(
    ({ path, side, first }) => path === fault.module && side === "forward" && first < fault.step,
  );
  return html`The output of ${pathOf(fault.module)} was not finite at step ${grouped(fault.step)}${seen !== undefined && `, which was foreseen since step ${grouped(seen.first)}`}.`;
}

/** Figures of the modules are those of the watched steps alone. */
function watched({ watched, steps, skipped, header }: NumericsRecord, { seen }: Overall): Html | null {
  const records = watched.reduce((sum, span) => sum + span.records, 0);
  const skippedToo = watched.reduce((sum, span) => sum + span.skipped, 0);
  if (records >= steps && skippedToo === skipped) return null;
  const others = skipped - skippedToo;
  const interval = header?.monitor_interval ?? 0;
  // A time budget and a run that is continued for more epochs change it; the header has it as the run began.
  const isKept = interval > 0 && Math.abs(records - (1 + steps / interval)) <= 1 + records / 4;
  const setting = isKept ? ` (monitor_interval ${grouped(interval)})` : "";
  const missed = others > 0 ? ` ${counted(others, "skipped step was", "skipped steps were")} not among them.` : "";
  return html`The modules were watched on ${seen}${setting}: what follows is said of these.${missed}`;
}

/** The module that came closest to the end of float16, of those that 16-mixed has in float16, and what became zero. */
function leastRoom({ modules, narrow }: Overall, side: Side): Html | null {
  const records = modules.flatMap((module) => {
    const record = module[side];
    return record !== null && isIn(record, narrow) ? [{ path: module.path, record }] : [];
  });
  const room = ({ record }: (typeof records)[number]): number => headroomOf(record).fp16.overflow;
  if (records.length === 0) return null;
  const least = records.reduce((a, b) => (room(b) < room(a) ? b : a));
  const what = side === "forward" ? "Outputs" : "Gradients";
  const left = room(least);
  const at = html`${pathOf(least.path)} at step ${grouped(least.record.step)}`;
  const zero = html`${widerNearer(modules, side, narrow, left)}${lost(records, side, narrow)}`;
  if (narrow === "float16")
    return left >= 0
      ? html`${what} in float16 came closest to overflow in ${at}: ${bits(left)} bits were left.${zero}`
      : html`${what} of ${pathOf(least.path)} went beyond float16, by ${bits(-left).slice(1)} bits: they are in float32 there, at least in part.${zero}`;
  if (left < 0)
    return html`${what} would not have fit into float16: in ${pathOf(least.path)} they are ${bits(-left).slice(1)} bits beyond it.${zero}`;
  const flushed = records.some(({ record }) => record.fp16_flush > muchFlushed);
  return flushed
    ? html`${what} would not have overflowed float16, with ${bits(left)} bits left in ${at}, but float16 loses small ones.${zero}`
    : html`${what} would have fit into float16, with ${bits(left)} bits left in ${at}.${zero}`;
}

/** The module that came closer to the end of float16 than those that have float16, and does not need it. */
function widerNearer(modules: Overall["modules"], side: Side, narrow: Dtype, left: number): Html | null {
  const wider = modules.flatMap(({ path, [side]: record }) => {
    if (record === null || isIn(record, narrow)) return [];
    const room = headroomOf(record).fp16.overflow;
    return room < left ? [{ path, room }] : [];
  });
  if (wider.length === 0) return null;
  const { path, room } = wider.reduce((a, b) => (b.room < a.room ? b : a));
  return html` Closer, with ${bits(room)} bits, came ${pathOf(path)}, which is held in float32${narrow !== "float16" && ", in 16-mixed too"}.`;
}

/** The modules of which float16 makes much zero. */
function lost(records: readonly { path: string; record: ModuleRecord }[], side: Side, narrow: Dtype): Html | null {
  const much = records.filter(({ record }) => record.fp16_flush > muchFlushed);
  if (much.length === 0) return null;
  const most = much.reduce((a, b) => (b.record.fp16_flush > a.record.fp16_flush ? b : a));
  const becomes = narrow === "float16" ? "became" : "would have become";
  const all = records.length === 1 ? "the only module" : `all ${grouped(records.length)} modules`;
  const of = much.length === records.length ? all : `${grouped(much.length)} of the ${grouped(records.length)} modules`;
  const held = `${narrow === "float16" ? "are" : "16-mixed has"} in float16`;
  const whose = `whose ${side === "forward" ? "outputs" : "gradients"} ${held}`;
  return html` In ${of} ${whose}, more than 5 % ${becomes} zero: most in ${pathOf(most.path)}, ${percent(most.record.fp16_flush)}.`;
}

/** The loss scales under which the gradients fit into float16 at both ends. */
function scales(numerics: NumericsRecord, { narrow }: Overall): Html | null {
  const { smallest, largest } = scaleRange(numerics, narrow);
  if (largest === null) return null;
  const of = ({ path }: ScaleEnd): Html => (path === null ? html`a gradient` : html`that of ${pathOf(path)}`);
  const above = html`above ${scale(largest)}, ${of(largest)} overflows`;
  // Float16 shows no more what it has made zero.
  if (narrow === "float16")
    return html`The largest loss scale that kept, or would have kept, all gradients in float16 is ${scale(largest)}: above it, ${of(largest)} overflows. How many gradients a smaller one makes zero cannot be seen in float16; a run in bf16-mixed or 32-true shows it.`;
  const first =
    largest.exponent < firstScale
      ? ` 16-mixed begins at ${scale({ exponent: firstScale, path: null })}, and would have skipped steps until it came down.`
      : "";
  if (smallest === null || smallest.exponent <= 0)
    return largest.exponent >= 0
      ? html`Loss scales from 1 to ${scale(largest)} would have kept the gradients in float16: ${above}.${first}`
      : html`No loss scale of 1 or more would have kept the gradients in float16: ${above}.`;
  const below = html`below ${scale(smallest)}, more than 5 % of those of ${pathOf(smallest.path ?? "a module")} become zero`;
  return smallest.exponent <= largest.exponent
    ? html`Loss scales from ${scale(smallest)} to ${scale(largest)} would have kept the gradients in float16 at both ends: ${below}; ${above}.${first}`
    : html`<b>No loss scale would have kept all gradients in float16</b>: ${above}; ${below}.${first}`;
}

/** log2 of the loss scale with which 16-mixed begins. */
const firstScale = 16;

const scale = ({ exponent }: ScaleEnd): string =>
  exponent >= 0 && exponent <= 19 ? grouped(2 ** exponent) : power(2, exponent);
