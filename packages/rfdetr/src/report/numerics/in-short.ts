// The numerics of a run in a few sentences.
import { headroomOf } from "@rfdetr/amp/records";
import { type Html, html, pathOf } from "../html/html.js";
import { bits, counted, grouped } from "../html/words.js";
import type { NumericsRecord } from "../records/numerics-record.js";
import { isFloat16, type Overall, type Side } from "./overall.js";

/** What to know before the details. */
export function inShort(numerics: NumericsRecord, overall: Overall | null): Html | null {
  const sentences = [
    skipped(numerics),
    overflowed(numerics),
    overall && leastRoom(overall, "forward"),
    overall && leastRoom(overall, "gradient"),
  ].filter((sentence) => sentence !== null);
  return sentences.length === 0 ? null : html`<ul>${sentences.map((sentence) => html`<li>${sentence}</li>`)}</ul>`;
}

function skipped({ steps, skipped, overflows, header, rollbacks }: NumericsRecord): Html | null {
  if (steps === 0) return null;
  const precision = header?.precision ?? "this precision";
  if (skipped === 0) return html`All ${grouped(steps)} steps in ${precision} were applied: nothing overflowed.`;
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

/** The module that came closest to the end of float16, of those with values in float16 where there are any. */
function leastRoom({ modules }: Overall, side: Side): Html | null {
  const all = modules.flatMap((module) => (module[side] === null ? [] : [{ path: module.path, record: module[side] }]));
  const narrow = all.filter(({ record }) => isFloat16(record));
  const records = narrow.length > 0 ? narrow : all;
  const room = ({ record }: (typeof records)[number]): number => headroomOf(record).fp16.overflow;
  if (records.length === 0) return null;
  const least = records.reduce((a, b) => (room(b) < room(a) ? b : a));
  const what = side === "forward" ? "Outputs" : "Gradients";
  if (narrow.length > 0 && room(least) >= 0)
    return html`${what} in float16 came closest to overflow in ${pathOf(least.path)}: ${bits(room(least))} bits were left.`;
  if (narrow.length > 0)
    return html`${what} of ${pathOf(least.path)} went beyond float16, by ${bits(-room(least)).slice(1)} bits: they are in float32 there, at least in part.`;
  return room(least) < 0
    ? html`${what} would not have fit into float16: in ${pathOf(least.path)} they are ${bits(-room(least)).slice(1)} bits beyond it.`
    : html`${what} would have fit into float16, with ${bits(room(least))} bits left in ${pathOf(least.path)}.`;
}
