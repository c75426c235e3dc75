// What was seen of each module over the whole run.
import type { ModuleRecord, UpdateRecord } from "@rfdetr/amp";
import { headroomOf } from "@rfdetr/amp/records";
import type { NumericsRecord } from "../records/numerics-record.js";
import { joinedSpans, type WatchedModule } from "../records/watched-spans.js";

/** The two sides of a module: its outputs, and the gradients that arrive at them. */
export type Side = "forward" | "gradient";

/** A module over all watched steps. */
export interface ModuleSides {
  path: string;
  forward: WatchedModule | null;
  gradient: WatchedModule | null;
  /** Whether its output was the first value of a step that was not finite. */
  overflowed: boolean;
}

/** All watched steps that were applied as one: the largest values, the sums of histograms. Null without any. */
export interface Overall {
  modules: ModuleSides[];
  updates: UpdateRecord[];
}

export function overallOf({ watched, overflows }: NumericsRecord): Overall | null {
  const all = joinedSpans(watched);
  if (all === null) return null;
  const first = new Set(overflows.entries.flatMap(({ phase, module }) => (phase === "forward" ? [module] : [])));
  const modules = new Map<string, ModuleSides>();
  const newModule = (path: string): ModuleSides => ({
    path,
    forward: null,
    gradient: null,
    overflowed: first.has(path),
  });
  for (const side of ["forward", "gradient"] as const)
    for (const record of all[side]) {
      const module = modules.get(record.path) ?? newModule(record.path);
      module[side] = record;
      modules.set(record.path, module);
    }
  return { modules: [...modules.values()], updates: all.updates };
}

/** The mean share of the changes that bfloat16 weights would have lost; NaN without any. */
export function lostInBfloat16(updates: readonly UpdateRecord[]): number {
  const shares = updates.map(({ bf16_lost }) => bf16_lost).filter(Number.isFinite);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** How near values are to a limit, the worst first. */
export const ratings = ["over", "tight", "near", "room", "unknown"] as const;
/** See {@link ratings}. */
export type Rating = (typeof ratings)[number];

/** What a rating means, and a sign for it that needs no colour. */
export const ratingWords: Readonly<Record<Rating, { sign: string; words: string }>> = {
  over: { sign: "✕", words: "overflowed" },
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

/** How near one side of a module is to the limits. */
export function rateSide(module: ModuleSides, side: Side): Rating {
  const record = module[side];
  if (side === "forward" && module.overflowed) return "over";
  return record === null ? "unknown" : rate(record);
}

/** How near values are to the limits of the dtypes that they are in. */
function rate(record: ModuleRecord): Rating {
  const { fp16, bf16 } = headroomOf(record);
  if (record.non_finite > 0 || !Number.isFinite(record.amax)) return "over";
  const narrow = isFloat16(record);
  const bits = narrow ? fp16.overflow : bf16.overflow;
  // Float16 holds no such value: what is beyond it stands in the wider dtype of the two that the module has.
  if (narrow && bits < 0) return "unknown";
  if (bits < tightBits) return "tight";
  if (bits < nearBits || (narrow && record.fp16_flush > muchFlushed)) return "near";
  return fp16.overflow < tightBits ? "unknown" : "room";
}

/** The worse of two ratings. */
export const worse = (a: Rating, b: Rating): Rating => (ratings.indexOf(a) <= ratings.indexOf(b) ? a : b);
