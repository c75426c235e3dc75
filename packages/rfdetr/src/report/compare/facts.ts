// What runs are compared by: a figure of each, and which is better.

import { formatBytes } from "@rfdetr/amp/text";
import { smallestOf } from "../../support/lists.js";
import { bits, brief, duration, fraction, grouped, percent } from "../html/words.js";
import { lostInBfloat16, overallOf, rateSide } from "../numerics/overall.js";
import type { RunRecord } from "../records/run-record.js";
import { meanOf, mostOf } from "../records/step-points.js";
import { type BestEpoch, bestEpoch } from "../sections/overview.js";
import { hasMasks, sameData, sameSteps, stepsOf } from "./likeness.js";
import { judge, placesOf } from "./seeds.js";

/** A figure by which runs are compared. */
export interface Fact {
  name: string;
  /** Null where a run does not have it. */
  value: (run: RunRecord) => number | null;
  text: (value: number) => string;
  /** Which is better; null where neither is. */
  better: "more" | "less" | null;
  /** The share of the larger value that values differ by without a cause; default 0. */
  chance?: number;
  /** Of a figure that a seed changes: the objects that it is counted on. Then {@link judge} tells which is better. */
  objects?: number | null;
  /** Whether it is measured by float16: only runs in one precision have it side by side, and none is better. */
  ofFloat16?: boolean;
}

/** Objects of the validation split, which figures are counted on; null where the runs do not tell. */
export const validObjects = (runs: readonly RunRecord[]): number | null =>
  finite(smallestOf(runs.flatMap(({ config }) => config?.data?.valid.objects ?? [])));

/** Objects of the test split; null where the runs do not tell. */
const testObjects = (runs: readonly RunRecord[]): number | null =>
  finite(
    smallestOf(
      runs.flatMap(({ test }) =>
        test === null ? [] : test.per_class.reduce((sum, { instances }) => sum + (instances ?? 0), 0),
      ),
    ),
  );

const finite = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !Number.isFinite(value) ? null : value;

/** The figures of the best epoch. @param masks whether a run has masks: then those of boxes are of all runs */
function bestFigures(masks: boolean, runs: readonly RunRecord[]): Fact[] {
  const valid = { better: "more", objects: validObjects(runs) } as const;
  const ofMasks = (run: RunRecord): BestEpoch | null => {
    const found = bestEpoch(run);
    return found?.of === "mask " ? found : null;
  };
  const ofBoxes = (run: RunRecord): Pick<BestEpoch, "AP50"> & { AP: number | null } => {
    const found = bestEpoch(run);
    return found?.boxes ?? (found?.of === "" ? found : { AP: null, AP50: null });
  };
  const box = masks ? "box AP" : "AP";
  return [
    { name: "best mask AP", value: (run) => finite(ofMasks(run)?.AP), text: fraction, ...valid },
    { name: "mask AP50 at that epoch", value: (run) => finite(ofMasks(run)?.AP50), text: fraction, ...valid },
    {
      name: masks ? "box AP at the best epoch" : "best AP",
      value: (run) => finite(ofBoxes(run).AP),
      text: fraction,
      ...valid,
    },
    { name: `${box}50 at that epoch`, value: (run) => finite(ofBoxes(run).AP50), text: fraction, ...valid },
  ];
}

/**
 * The figures of the result and of the cost; none is better where the runs cannot be compared by it.
 * @param masks whether figures of boxes are called so
 */
export function resultFacts(runs: readonly RunRecord[], masks = runs.some(hasMasks)): readonly Fact[] {
  const data = sameData(runs);
  const comparable = (name: string): boolean => {
    return name === "peak memory of the process" ? sameSteps(runs) : data;
  };
  return figuresOf(masks, runs).map((fact) => (comparable(fact.name) ? fact : { ...fact, better: null }));
}

const figuresOf = (masks: boolean, runs: readonly RunRecord[]): readonly Fact[] => [
  ...bestFigures(masks, runs),
  { name: "epoch of the best", value: (run) => finite(bestEpoch(run)?.epoch), text: grouped, better: null },
  {
    name: "mask AP on the test split",
    value: ({ test }) => finite(test?.masks?.AP),
    text: fraction,
    better: "more",
    objects: testObjects(runs),
  },
  {
    name: `${masks ? "box " : ""}AP on the test split`,
    value: ({ test }) => finite(test?.AP),
    text: fraction,
    better: "more",
    objects: testObjects(runs),
  },
  { name: "epochs", value: ({ metrics }) => finite(metrics.rows.at(-1)?.epoch), text: grouped, better: null },
  {
    name: "optimizer steps",
    value: stepsOf,
    text: grouped,
    better: null,
  },
  {
    name: "training time",
    value: ({ summary, metrics }) => finite(summary?.train_seconds ?? metrics.rows.at(-1)?.train_seconds),
    text: duration,
    better: null,
  },
  {
    name: "peak memory of the process",
    value: ({ summary, metrics }) => finite(summary?.peak_rss_bytes ?? metrics.rows.at(-1)?.peak_rss_bytes),
    text: formatBytes,
    better: "less",
    // What else a machine does changes the memory of a process by as much.
    chance: 0.1,
  },
  {
    name: "loss at the end",
    value: ({ metrics }) => finite(metrics.rows.at(-1)?.["train/loss"]),
    // As many digits for each.
    text: (value) => value.toPrecision(3),
    better: null,
  },
];

const phases = ["load", "forward", "loss", "backward", "optimizer"] as const;

/** The figures of the numerics. */
export const numericsFacts: readonly Fact[] = [
  {
    name: "skipped steps",
    value: ({ numerics }) => (numerics.steps === 0 ? null : numerics.skipped),
    text: grouped,
    better: "less",
  },
  {
    name: "loss scale at the end",
    value: ({ numerics }) => finite(numerics.scaleChanges.entries.at(-1)?.scale),
    text: brief,
    better: null,
  },
  { name: "time of a step", value: (run) => meanOf(run.numerics.points, "seconds"), text: duration, better: null },
  ...phases.map(
    (phase): Fact => ({
      name: `of it ${phase === "load" ? "waiting for images" : phase}`,
      value: (run) => meanOf(run.numerics.points, `phases.${phase}`),
      text: duration,
      better: null,
    }),
  ),
  { name: "of it between the steps", value: betweenSteps, text: duration, better: null },
  {
    name: "peak of tensors",
    value: (run) => mostOf(run.numerics.points, "memory.peak_bytes"),
    text: formatBytes,
    better: "less",
  },
  {
    name: "kept for backward",
    value: (run) => mostOf(run.numerics.points, "memory.kept_bytes"),
    text: formatBytes,
    better: "less",
  },
  {
    name: "watched steps",
    value: ({ numerics }) => numerics.watched.reduce((sum, { records }) => sum + records, 0) || null,
    text: grouped,
    better: null,
  },
  {
    name: "least bits to overflow of float16, outputs",
    value: (run) => leastHeadroom(run, "forward"),
    text: bits,
    better: null,
    ofFloat16: true,
  },
  {
    name: "least bits to overflow of float16, gradients",
    value: (run) => leastHeadroom(run, "gradient"),
    text: bits,
    better: null,
    ofFloat16: true,
  },
  { name: "modules near a limit of float16", value: modulesNear, text: grouped, better: null, ofFloat16: true },
  { name: "changes lost if weights were bfloat16", value: changesLost, text: percent, better: null },
];

/** What the phases of a step leave of its time. */
function betweenSteps({ numerics: { points } }: RunRecord): number | null {
  const [total, ...parts] = ["seconds", ...phases.map((phase) => `phases.${phase}`)].map((name) =>
    meanOf(points, name),
  );
  if (total === null || parts.includes(null)) return null;
  return Math.max(
    0,
    parts.reduce<number>((rest, seconds) => rest - (seconds ?? 0), total),
  );
}

/** Of what float16 holds, or would hold in 16-mixed: where a wider dtype is needed, nothing is near an overflow. */
function leastHeadroom({ numerics }: RunRecord, side: "forward" | "gradient"): number | null {
  const overall = overallOf(numerics);
  if (overall === null) return null;
  const rated = overall.modules.flatMap((module) => rateSide(module, side, overall.narrow) ?? []);
  const held = rated.filter(({ isWider, limit }) => limit === "float16" && !isWider);
  return finite(smallestOf(held.map((each) => each.bits)));
}

function modulesNear({ numerics }: RunRecord): number | null {
  const overall = overallOf(numerics);
  if (overall === null) return null;
  const near = ["over", "tight", "near"];
  return overall.modules.filter((module) =>
    (["forward", "gradient"] as const).some((side) =>
      near.includes(rateSide(module, side, overall.narrow)?.rating ?? "room"),
    ),
  ).length;
}

function changesLost({ numerics }: RunRecord): number | null {
  return finite(lostInBfloat16(overallOf(numerics)?.updates ?? []));
}

/**
 * The values of a figure, and the places of the best with those that are as good but for chance; none where all are,
 * or neither direction is better. Of AP they are the runs of the best settings: see {@link judge}.
 */
export function compared(fact: Fact, runs: readonly RunRecord[]): { values: (number | null)[]; best: number[] } {
  const values = runs.map((run) => fact.value(run));
  if (fact.better === null) return { values, best: [] };
  if (fact.objects !== undefined) return { values, best: placesOf(judge(values, runs, fact.objects)) };
  const there = values.filter((value) => value !== null);
  const most = fact.better === "more" ? Math.max(...there) : Math.min(...there);
  const isBest = (value: number | null): boolean =>
    value !== null && Math.abs(value - most) <= (fact.chance ?? 0) * Math.max(Math.abs(value), Math.abs(most));
  if (there.length < 2 || there.every(isBest)) return { values, best: [] };
  return { values, best: values.flatMap((value, i) => (isBest(value) ? [i] : [])) };
}

/** Settings that are not the same in all runs; the folder of a run is its own. */
export function differingSettings(runs: readonly RunRecord[]): { name: string; values: unknown[] }[] {
  const own = new Set(["output_dir"]);
  const facts = (run: RunRecord): Record<string, unknown> => ({
    ...run.config?.settings,
    seed: run.config?.seed,
    "resolved precision": run.config?.precision,
    hardware: run.config?.hardware,
    ...Object.fromEntries(
      Object.entries(run.config?.versions ?? {}).map(([name, version]) => [`version of ${name}`, version]),
    ),
  });
  const all = runs.map(facts);
  const names = new Set(all.flatMap((each) => Object.keys(each)));
  return [...names]
    .filter((name) => !own.has(name))
    .map((name) => ({ name, values: all.map((each) => each[name]) }))
    .filter(({ values }) => new Set(values.map((value) => JSON.stringify(value))).size > 1);
}

/** Names of runs that differ: those of their folders, with those above where they are the same. */
export function runNames(runs: readonly RunRecord[]): string[] {
  const parts = runs.map(({ folder }) => folder.split(/[\\/]/));
  for (let count = 1; ; count++) {
    const names = parts.map((each) => each.slice(-count).join("/"));
    if (new Set(names).size === names.length || parts.every((each) => each.length <= count)) return names;
  }
}
