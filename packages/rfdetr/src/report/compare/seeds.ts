// Whether runs differ by their settings, or by no more than their seeds bring about.
import type { SettingName } from "../../settings/settings.js";
import type { RunRecord } from "../records/run-record.js";

/**
 * Settings that runs may differ in and still be repetitions of each other: they do not change what is learned, or
 * another record tells better what they came to, as `precision` of config.json tells what `auto` chose.
 */
const apart: ReadonlySet<string> = new Set<SettingName>([
  ...(["seed", "output_dir", "dataset_dir", "notes", "tensorboard", "plots"] as const),
  ...(["checkpoint_seconds", "checkpoint_interval", "monitor_interval", "num_workers", "process_timeout"] as const),
  ...(["precision", "amp", "amp_dtype"] as const),
]);

/**
 * By how much an AP may be off that is counted on so few objects: the standard deviation of a share, which is
 * 0.5 / √n at most; 0.01 on many objects or where their number is unknown. What a seed does to a training comes on top.
 * @internal for tests
 */
export const countingError = (objects: number | null | undefined): number =>
  Math.max(0.01, objects ? 0.5 / Math.sqrt(objects) : 0);

/**
 * Quantiles of Student's t that 95 % of the values stay within, by degrees of freedom from 1; the last is for more as
 * well. At most eight runs are compared, so that there are seven at most.
 */
const student = [12.71, 4.3, 3.18, 2.78, 2.57, 2.45, 2.36];

/** Whether runs that differ in a setting may be repetitions of each other. */
export const changesNothing = (setting: string): boolean => apart.has(setting);

/** Whether a run ended as planned. */
export const hasEnded = ({ state, summary }: RunRecord): boolean =>
  state === "ended" && summary?.stop_reason !== "failed" && summary?.stop_reason !== "interrupted";

/** What the settings of a run are known by; a run that has not ended as planned stands alone. */
function keyOf(run: RunRecord): string {
  const { config } = run;
  if (config === null || !hasEnded(run)) return run.folder;
  const settings = Object.entries(config.settings).filter(([name]) => !changesNothing(name));
  const changes = config.changes.map(({ step, settings, data }) => [step, settings, data]);
  return JSON.stringify([settings.sort(([a], [b]) => (a < b ? -1 : 1)), config.precision, config.versions, changes]);
}

/**
 * The places of runs that differ by their seed alone, together: settings, precision and versions are the same. The
 * hardware may be another one.
 */
export function bySettings(runs: readonly RunRecord[]): number[][] {
  const groups = new Map<string, number[]>();
  for (const [i, run] of runs.entries()) {
    const key = keyOf(run);
    groups.set(key, [...(groups.get(key) ?? []), i]);
  }
  return [...groups.values()];
}

/** What runs of the same settings have in common. */
export interface SettingFigures {
  /** Their places, of those that have the figure. */
  runs: number[];
  /** Seeds: runs with the same one are repetitions, which say nothing about others. */
  seeds: number;
  mean: number;
  /** The standard deviation between the seeds; null for one seed. */
  deviation: number | null;
}

/** What the seeds say of a figure. */
export interface Verdict {
  /** Each of the settings, those with the highest mean first. */
  settings: SettingFigures[];
  /** The settings with the highest mean, and those that are not told apart from them; none where nothing is. */
  best: SettingFigures[];
  /** The standard deviation between seeds of the same settings, over all of them; null where each has one seed. */
  spread: number | null;
  /** What the highest mean must be above the next one, or the next that is not of the best; null where unknown. */
  bound: number | null;
}

/**
 * Compares settings by the means over their seeds. A difference counts where it exceeds both the counting error
 * ({@link countingError}) and the standard error of a difference of two such means, times the quantile of Student's t
 * for 95 %. The spread between seeds is pooled over all settings. With one seed for each setting nothing is known about
 * it, and no difference counts.
 * @param values of the runs; null for a run without the figure
 * @param groups see {@link bySettings}
 * @param objects that the figure is counted on
 */
export function judge(
  values: readonly (number | null)[],
  runs: readonly RunRecord[],
  objects: number | null | undefined,
): Verdict {
  const settings = bySettings(runs)
    .map((places) => figuresOf(places, values, runs))
    .filter((each) => each !== null)
    .sort((a, b) => b.mean - a.mean);
  const freedom = settings.reduce((sum, { seeds }) => sum + seeds - 1, 0);
  if (freedom === 0 || settings.length < 2)
    return { settings, best: [], spread: spreadOf(settings, freedom), bound: null };
  const spread = spreadOf(settings, freedom) as number;
  const t = student[Math.min(freedom, student.length) - 1];
  const boundTo = (other: SettingFigures): number =>
    Math.max(countingError(objects), t * spread * Math.sqrt(1 / settings[0].seeds + 1 / other.seeds));
  // 0.41 - 0.40 is above 0.01 in binary.
  const isBelow = (other: SettingFigures): boolean => settings[0].mean - other.mean > boundTo(other) * (1 + 1e-9);
  const next = settings.find(isBelow);
  const best = next === undefined ? [] : settings.filter((each) => !isBelow(each));
  return { settings, best, spread, bound: boundTo(next ?? settings[1]) };
}

/** The standard deviation between seeds of the same settings, pooled; null where each has one. */
function spreadOf(settings: readonly SettingFigures[], freedom: number): number | null {
  const squares = settings.reduce((sum, { seeds, deviation }) => sum + (seeds - 1) * (deviation ?? 0) ** 2, 0);
  return freedom === 0 ? null : Math.sqrt(squares / freedom);
}

function figuresOf(
  places: readonly number[],
  values: readonly (number | null)[],
  runs: readonly RunRecord[],
): SettingFigures | null {
  const known = places.filter((i) => values[i] !== null);
  if (known.length === 0) return null;
  const bySeed = new Map<unknown, number[]>();
  for (const i of known) {
    const seed = runs[i].config?.seed ?? null;
    bySeed.set(seed, [...(bySeed.get(seed) ?? []), values[i] as number]);
  }
  const means = [...bySeed.values()].map(meanOf);
  const mean = meanOf(means);
  const squares = means.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const seeds = means.length;
  return { runs: known, seeds, mean, deviation: seeds < 2 ? null : Math.sqrt(squares / (seeds - 1)) };
}

const meanOf = (list: readonly number[]): number => list.reduce((a, b) => a + b, 0) / list.length;

/** The places of the runs of the best settings. */
export const placesOf = ({ best }: Verdict): number[] => best.flatMap(({ runs }) => runs).sort((a, b) => a - b);
