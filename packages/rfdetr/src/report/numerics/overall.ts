// What was seen of each module over the whole run.
import type { ModuleRecord, UpdateRecord } from "@rfdetr/amp";
import { headroomOf } from "@rfdetr/amp/records";
import { joinedSpans, type WatchedModule, type WatchedSpan } from "../watched-spans.js";

/** The two sides of a module: its outputs, and the gradients that arrive at them. */
export type Side = "forward" | "gradient";

/** A module over all watched steps. */
export interface ModuleSides {
  path: string;
  forward: WatchedModule | null;
  gradient: WatchedModule | null;
}

/** All watched steps as one: the largest values, the sums of histograms. Null without any. */
export interface Overall {
  modules: ModuleSides[];
  updates: UpdateRecord[];
}

export function overallOf(spans: readonly WatchedSpan[]): Overall | null {
  const all = joinedSpans(spans);
  if (all === null) return null;
  const modules = new Map<string, ModuleSides>();
  for (const side of ["forward", "gradient"] as const)
    for (const record of all[side]) {
      const module = modules.get(record.path) ?? { path: record.path, forward: null, gradient: null };
      module[side] = record;
      modules.set(record.path, module);
    }
  return { modules: [...modules.values()], updates: all.updates };
}

/** How near values are to a limit, the worst first. */
export const ratings = ["over", "tight", "near", "room", "unknown"] as const;
/** See {@link ratings}. */
export type Rating = (typeof ratings)[number];

/** What a rating means, and a sign for it that needs no colour. */
export const ratingWords: Readonly<Record<Rating, { sign: string; words: string }>> = {
  over: { sign: "✕", words: "was not finite" },
  tight: { sign: "▲", words: "less than 2 bits to overflow: the next larger value may not fit" },
  near: { sign: "◆", words: "2 to 5 bits to overflow, or more than 5 % of the values become zero" },
  room: { sign: "●", words: "5 bits or more to overflow" },
  unknown: { sign: "○", words: "beyond float16, and held in a wider dtype here" },
};

/** Bits to overflow below which the next larger value may not fit, and below which it is worth to look. */
const [tightBits, nearBits] = [2, 5];
/** The share of values that become zero above which it is worth to look. */
const muchFlushed = 0.05;

/** Whether a module has values in float16. */
export const isFloat16 = ({ dtype }: ModuleRecord): boolean => dtype.split(" ").includes("float16");

/** How near a module is to the limits of the dtypes that it has values in. */
export function rate(record: ModuleRecord): Rating {
  const { fp16, bf16 } = headroomOf(record);
  if (record.non_finite > 0 || !Number.isFinite(record.amax)) return "over";
  const narrow = isFloat16(record);
  const bits = narrow ? fp16.overflow : bf16.overflow;
  if (bits < tightBits) return "tight";
  if (bits < nearBits || (narrow && record.fp16_flush > muchFlushed)) return "near";
  return fp16.overflow < tightBits ? "unknown" : "room";
}

/** The worse of two ratings. */
export const worse = (a: Rating, b: Rating): Rating => (ratings.indexOf(a) <= ratings.indexOf(b) ? a : b);
