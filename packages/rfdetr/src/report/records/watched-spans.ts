// What the monitor saw over a run of any length in little memory: neighbouring watched steps are joined.
import type { ModuleRecord, UpdateRecord } from "@rfdetr/amp";
import type { MonitorRecord } from "../../run/files/numerics/numerics-records.js";

/** A module in a watched step. */
export interface WatchedModule extends ModuleRecord {
  /** The step with the largest value. */
  step: number;
  /** The file of the image that made the largest value; missing where no single one did, or that is not recorded. */
  file?: string;
}

/**
 * One watched step, or several neighbours together: then the largest values and shares of them, the sums of their
 * histograms, and what else is known of the step with the largest value.
 */
export interface WatchedSpan extends Pick<MonitorRecord, "updates"> {
  forward: WatchedModule[];
  gradient: WatchedModule[];
  first: number;
  last: number;
  /** Watched steps, and those of them that were skipped. */
  records: number;
  skipped: number;
  /** The loss scale of the last of them; the gradients include it. */
  scale: number;
}

/** Collects watched steps. When there are too many, each two neighbours become one. */
export class WatchedCollector {
  readonly #most: number;
  #stride = 1;
  #spans: WatchedSpan[] = [];
  /** The last watched step, as it was recorded; null without any. */
  latest: MonitorRecord | null = null;

  /** @param most spans that are kept at most, 2 or more */
  constructor(most: number) {
    this.#most = Math.max(2, most);
  }

  /** @param skipped whether the optimizer was not run, because of gradients that were not finite */
  add(record: MonitorRecord, skipped: boolean): void {
    this.latest = record;
    const span = spanOf(record, skipped);
    const again = this.#spans.findIndex(({ first, last }) => first <= span.first && span.first <= last);
    const lastSpan = this.#spans.at(-1);
    if (again >= 0) this.#spans[again] = joined(this.#spans[again], span);
    else if (lastSpan !== undefined && lastSpan.records < this.#stride && lastSpan.last < span.first)
      this.#spans[this.#spans.length - 1] = joined(lastSpan, span);
    else this.#spans.push(span);
    if (this.#spans.length <= this.#most) return;
    this.#stride *= 2;
    this.#spans = this.spans().reduce<WatchedSpan[]>((pairs, next, i) => {
      const before = pairs.at(-1);
      if (i % 2 === 0 || before === undefined) pairs.push(next);
      else pairs[pairs.length - 1] = joined(before, next);
      return pairs;
    }, []);
  }

  /** In the order of the steps. */
  spans(): WatchedSpan[] {
    return [...this.#spans].sort((a, b) => a.first - b.first);
  }
}

function spanOf(record: MonitorRecord, skipped: boolean): WatchedSpan {
  const { step, scale, updates, images } = record;
  // The images are those of one record: once spans are joined, their numbers mean nothing.
  const named = (module: ModuleRecord): WatchedModule => {
    const file = images[module.largest.image ?? -1];
    return { ...module, step, ...(file === undefined ? {} : { file }) };
  };
  return {
    first: step,
    last: step,
    records: 1,
    skipped: skipped ? 1 : 0,
    scale,
    updates,
    forward: record.forward.map(named),
    gradient: record.gradient.map(named),
  };
}

/** All spans as one; null without any. */
export function joinedSpans(spans: readonly WatchedSpan[]): WatchedSpan | null {
  return spans.length === 0 ? null : spans.reduce(joined);
}

function joined(before: WatchedSpan, after: WatchedSpan): WatchedSpan {
  return {
    ...after,
    first: Math.min(before.first, after.first),
    last: Math.max(before.last, after.last),
    records: before.records + after.records,
    skipped: before.skipped + after.skipped,
    forward: joinedSide("forward", before, after),
    gradient: joinedSide("gradient", before, after),
    updates: byName(
      before.updates,
      after.updates,
      ({ name }) => name,
      (a, b) => joinedUpdates(a, b, before.records / (before.records + after.records)),
    ),
  };
}

/**
 * One side of the applied steps, where there are any: in a step that is skipped, what is not finite spreads to almost
 * every module, and would hide all others.
 */
function joinedSide(side: "forward" | "gradient", before: WatchedSpan, after: WatchedSpan): WatchedModule[] {
  const isSkipped = ({ skipped, records }: WatchedSpan): boolean => skipped === records;
  if (isSkipped(before) !== isSkipped(after)) return isSkipped(before) ? after[side] : before[side];
  return byName(before[side], after[side], ({ path }) => path, joinedModules);
}

/** The entries of both lists, in the order of the second; entries of one name become one. */
function byName<T>(before: T[], after: T[], nameOf: (entry: T) => string, join: (before: T, after: T) => T): T[] {
  const rest = new Map(before.map((entry) => [nameOf(entry), entry]));
  const both = after.map((entry) => {
    const old = rest.get(nameOf(entry));
    rest.delete(nameOf(entry));
    return old === undefined ? entry : join(old, entry);
  });
  return [...both, ...rest.values()];
}

function joinedModules(before: WatchedModule, after: WatchedModule): WatchedModule {
  const larger = after.amax >= before.amax || Number.isNaN(after.amax) ? after : before;
  return {
    ...larger,
    dtype: after.dtype,
    non_finite: Math.max(before.non_finite, after.non_finite),
    fp16_flush: Math.max(before.fp16_flush, after.fp16_flush),
    fp16_subnormal: Math.max(before.fp16_subnormal, after.fp16_subnormal),
    fp16_saturate: Math.max(before.fp16_saturate, after.fp16_saturate),
    bf16_flush: Math.max(before.bf16_flush, after.bf16_flush),
    exponents: joinedExponents(before.exponents, after.exponents),
  };
}

function joinedExponents(a: ModuleRecord["exponents"], b: ModuleRecord["exponents"]): ModuleRecord["exponents"] {
  if (a.counts.length === 0) return b;
  if (b.counts.length === 0) return a;
  const first = Math.min(a.first, b.first);
  const end = Math.max(a.first + a.counts.length, b.first + b.counts.length);
  const counts = Array.from(
    { length: end - first },
    (_, i) => (a.counts[first + i - a.first] ?? 0) + (b.counts[first + i - b.first] ?? 0),
  );
  return { first, counts };
}

/** @param weight the share of the watched steps that are before */
function joinedUpdates(before: UpdateRecord, after: UpdateRecord, weight: number): UpdateRecord {
  return {
    ...after,
    ratio: Math.max(before.ratio, after.ratio),
    bf16_lost: before.bf16_lost * weight + after.bf16_lost * (1 - weight),
  };
}
