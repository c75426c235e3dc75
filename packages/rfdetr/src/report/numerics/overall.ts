// What was seen of each module over the whole run.
import type { ModuleRecord, UpdateRecord } from "@rfdetr/amp";
import { headroomOf } from "@rfdetr/amp/records";
import { counted, grouped } from "../html/words.js";
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
  /** Whether its gradient was the first value of a step that was not finite. */
  gradientOverflowed: boolean;
}

/** A dtype that values of modules are in. */
export type Dtype = "float16" | "bfloat16" | "float32";

/** All watched steps that were applied as one: the largest values, the sums of histograms. Null without any. */
export interface Overall {
  modules: ModuleSides[];
  updates: UpdateRecord[];
  /** The narrowest dtype of the run: values in it are those that 16-mixed has in float16. */
  narrow: Dtype;
  /** How many steps were watched, in words: "1 of 41 steps". */
  seen: string;
  /** Whether enough steps were watched to judge the run by them. */
  isJudged: boolean;
}

/** The watched steps below which a run is not judged by them. */
const fewestJudged = 3;

/** What the limits of float16 mean to a run that has another dtype; null for one that has float16. */
export const float16Elsewhere = (precision: string): string | null =>
  precision === "16-mixed"
    ? null
    : `This run is ${precision}, whose range is that of float32: there is nothing to do. What is said of float16 matters only if you train in 16-mixed.`;

export function overallOf({ watched, overflows, skippedRuns, steps }: NumericsRecord): Overall | null {
  const all = joinedSpans(watched);
  if (all === null) return null;
  const firstIn = (wanted: string): Set<string | null> =>
    new Set(overflows.entries.flatMap(({ phase, module }) => (phase === wanted ? [module] : [])));
  const [first, inBackward] = [firstIn("forward"), firstIn("backward")];
  // Without a report, only the parameter is known that the fault reached.
  const reached = skippedRuns.entries.flatMap(({ fault, bad_parameter }) =>
    fault?.includes("gradient") && bad_parameter !== null ? [ownerOf(bad_parameter)] : [],
  );
  const modules = new Map<string, ModuleSides>();
  const newModule = (path: string): ModuleSides => ({
    path,
    forward: null,
    gradient: null,
    overflowed: first.has(path),
    gradientOverflowed: inBackward.has(path) || reached.includes(path),
  });
  for (const side of ["forward", "gradient"] as const)
    for (const record of all[side]) {
      const module = modules.get(record.path) ?? newModule(record.path);
      module[side] = record;
      modules.set(record.path, module);
    }
  const both = [...all.forward, ...all.gradient];
  const narrow = (["float16", "bfloat16"] as const).find((dtype) => both.some((record) => isIn(record, dtype)));
  const seen = `${grouped(all.records)} of ${counted(Math.max(steps, all.records), "step")}`;
  const isJudged = all.records >= fewestJudged;
  return { modules: [...modules.values()], updates: all.updates, narrow: narrow ?? "float32", seen, isJudged };
}

/** The mean share of the changes that bfloat16 weights would have lost; NaN without any. */
export function lostInBfloat16(updates: readonly UpdateRecord[]): number {
  const shares = updates.map(({ bf16_lost }) => bf16_lost).filter(Number.isFinite);
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/** The module of a parameter. */
export const ownerOf = (parameter: string | null): string | null =>
  parameter === null ? null : parameter.slice(0, Math.max(0, parameter.lastIndexOf(".")));

/** How near values are to a limit, the worst first. */
export const ratings = ["over", "tight", "near", "room", "unknown"] as const;
/** See {@link ratings}. */
export type Rating = (typeof ratings)[number];

/** What a rating means, and a sign for it that needs no colour. */
export const ratingWords: Readonly<Record<Rating, { sign: string; words: string }>> = {
  over: { sign: "✕", words: "overflowed" },
  tight: { sign: "▲", words: "less than 2 bits to overflow: the next larger value may not fit" },
  near: {
    sign: "◆",
    words:
      "2 to 5 bits to overflow, or more than 5 % of the values become zero, or its gradient overflowed in a step that was skipped",
  },
  room: { sign: "●", words: "5 bits or more to overflow, and 5 % of the values or less become zero" },
  unknown: { sign: "○", words: "close to the ends of float16 or beyond them, and held in a wider dtype here" },
};

/** Bits to overflow below which the next larger value may not fit, and below which it is worth to look. */
const [tightBits, nearBits] = [2, 5];
/** The share of values that become zero above which it is worth to look. */
export const muchFlushed = 0.05;

/** Whether a module has values in a dtype. */
export const isIn = ({ dtype }: ModuleRecord, wanted: Dtype): boolean => dtype.split(" ").includes(wanted);

/** The path under which operators stand that ran while no module did. */
export const outsideOfModules = "(outside of modules)";

/**
 * The side of a module that came closest to the end of the narrowest dtype of the run, of those whose largest value is
 * in it, with its watched step; null where none was seen. A wider dtype that holds a value tells nothing of a narrower
 * one.
 */
export function nearestToEnd({
  modules,
  narrow,
}: Overall): { path: string; side: Side; left: number; step: number } | null {
  let nearest: ReturnType<typeof nearestToEnd> = null;
  for (const module of modules)
    for (const side of ["forward", "gradient"] as const) {
      const record = module[side];
      if (record === null || record.largest.dtype !== narrow || !Number.isFinite(record.amax)) continue;
      if (module.path === outsideOfModules) continue;
      // Bfloat16 and float32 end at the same power of two.
      const left = headroomOf(record)[narrow === "float16" ? "fp16" : "bf16"].overflow;
      if (Number.isFinite(left) && left < (nearest?.left ?? Number.POSITIVE_INFINITY))
        nearest = { path: module.path, side, left, step: record.step };
    }
  return nearest;
}

/** One side of a module as its badge has it: the rating follows from the figures beside it. */
export interface RatedSide {
  rating: Rating;
  /** Bits to overflow of `limit`. */
  bits: number;
  /** Float16, unless the values come close to the end of their own dtype. */
  limit: Dtype;
  /** The share that float16 makes zero. */
  flushed: number;
  /** Whether a wider dtype holds the values than the narrowest of the run. */
  isWider: boolean;
}

/**
 * How near one side of a module is to the ends of float16; null where it was not seen.
 * @param narrow the narrowest dtype of the run
 */
export function rateSide(module: ModuleSides, side: Side, narrow: Dtype): RatedSide | null {
  const record = module[side];
  if (record === null) return null;
  const { fp16, bf16 } = headroomOf(record);
  const flushed = record.fp16_flush;
  // Float16 holds nothing beyond its end: such a value stands in the wider of the dtypes that the module has.
  const isWider = fp16.overflow < 0 || !isIn(record, narrow);
  const inFloat16 = { bits: fp16.overflow, limit: "float16" as const, flushed, isWider };
  const isOver = record.non_finite > 0 || !Number.isFinite(record.amax) || (side === "forward" && module.overflowed);
  if (isOver) return { ...inFloat16, rating: "over" };
  // Bfloat16 and float32 end at the same power of two.
  if (!isIn(record, "float16") && bf16.overflow < nearBits)
    return {
      rating: bf16.overflow < tightBits ? "tight" : "near",
      bits: bf16.overflow,
      limit: isIn(record, "bfloat16") ? "bfloat16" : "float32",
      flushed,
      isWider,
    };
  const rating = ratingIn16(fp16.overflow, flushed);
  const overflowed = side === "gradient" && module.gradientOverflowed;
  if (isWider && rating !== "room") return { ...inFloat16, rating: "unknown" };
  return { ...inFloat16, rating: overflowed && rating === "room" ? "near" : rating };
}

function ratingIn16(bits: number, flushed: number): Rating {
  if (bits < tightBits) return "tight";
  return bits < nearBits || flushed > muchFlushed ? "near" : "room";
}

/** The worse of two ratings. */
export const worse = (a: Rating, b: Rating): Rating => (ratings.indexOf(a) <= ratings.indexOf(b) ? a : b);
