// The run that the flags of `rfdetr train` ask for: a new one, one that goes on, or, in a process that a launcher has
// started, a part of either.
import { existsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { variants } from "../../model/variants.js";
import { continued, mayRestart } from "../../run/launch/last-launch.js";
import { readRankPlace } from "../../run/launch/rank-place.js";
import type { TrainRunOptions } from "../../run/train-run.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError, UsageError } from "../../support/errors.js";
import { snakeCase } from "../../support/names.js";
import type { Console } from "../console/console.js";
import { positiveInteger, weightsPath } from "../context.js";
import { reportError } from "../error-report.js";
import type { SettingFlags } from "./setting-flags.js";

/** The flags of `rfdetr train` that say what is trained. */
export type WhatFlags = SettingFlags & { resume?: string };

/**
 * What to start. Settings are null in a process other than rank 0 that continues a run: rank 0 has its files, and
 * shares the settings.
 */
export interface ToTrain extends Pick<TrainRunOptions, "resume" | "changes" | "processes"> {
  settings: TrainSettings | null;
}

/** @throws RfdetrError for flags that contradict each other, or that do not fit what a launcher has started */
export async function whatToTrain(flags: WhatFlags, console: Console): Promise<ToTrain> {
  const { resume, processes: given, ...rest } = flags;
  const processes = given === undefined ? undefined : positiveInteger("processes", given);
  const launched = readRankPlace(process.env, 1, processes);
  const isOther = launched !== null && launched.place.rank > 0;
  if (resume !== undefined) return toResume(rest as SettingFlags, { resume, processes, isOther });
  const settings = await givenSettings(flags, console);
  if (launched === null) return { settings: await toBegin(settings, pathWith(console)) };
  const { place, restarts } = launched;
  const out = typeof settings.output_dir === "string" ? settings.output_dir : null;
  if (restarts > 0) {
    if (isOther) return { settings: null };
    const run = continued(out, restarts, process.env);
    if (run !== null) return toResume({ amp: true }, { resume: run, isOther });
  } else if (out === null && place.rank === 0 && mayRestart(process.env))
    console.warning("The launcher may start this run anew, and can continue it only in a folder that --out names");
  return {
    settings: await toBegin({ processes: place.size, ...settings }, isOther ? ownPath(console) : pathWith(console)),
  };
}

/** The settings of the flags; a config file may be a module. */
async function givenSettings(flags: SettingFlags, console: Console): Promise<Record<string, unknown>> {
  const { settingsOf } = await import("./setting-flags.js");
  const { config } = flags;
  if (typeof config !== "string") return withDataPath(settingsOf(flags));
  const { loadConfig } = await import("../../settings/config-file.js");
  const message = `The config file ${config} ended the program, or waited for what never comes, before it gave its settings`;
  // Nothing is awaited any more then.
  const ended = (): void => void (process.exitCode = reportError(new ConfigError(message), console));
  process.once("exit", ended);
  try {
    return await withDataPath(settingsOf({ ...flags, config: await loadConfig(config) }));
  } finally {
    process.off("exit", ended);
  }
}

/** A config file may name several datasets, and a module may hold one of its own: both become a path. */
async function withDataPath(settings: Record<string, unknown>): Promise<Record<string, unknown>> {
  const [key, data] = Object.entries(settings).find(([name]) => snakeCase(name) === "dataset_dir") ?? [];
  const { dataPath, isGivenData } = await import("../../data/custom/data-path.js");
  if (key === undefined || !isGivenData(data)) return settings;
  const out = Object.entries(settings).find(([name]) => snakeCase(name) === "output_dir")?.[1];
  const autoOrient = (settings.auto_orient ?? settings.autoOrient) !== false;
  const parent = typeof out === "string" ? dirname(resolve(out)) : "runs";
  return { ...settings, [key]: await dataPath(data, parent, { autoOrient }) };
}

/** @param run.isOther whether this process is not rank 0, and so has no settings */
async function toResume(
  flags: SettingFlags,
  { resume, processes, isOther }: { resume: string; processes?: number; isOther: boolean },
): Promise<ToTrain> {
  const { resumeChanges } = await import("./resume-flags.js");
  const { resumeConfig } = await import("../../run/session/resume.js");
  const options = { resume, changes: resumeChanges(flags), ...(processes === undefined ? {} : { processes }) };
  return { settings: isOther ? null : resumeConfig(resume), ...options };
}

/**
 * What a new run with these flags would have: weights that would have to be downloaded keep their name.
 * @throws RfdetrError
 */
export async function toTry(flags: WhatFlags, console: Console): Promise<TrainSettings> {
  if (flags.resume !== undefined)
    throw new UsageError("Expected --dry-run or --resume but received both: only a new run can be tried");
  const { missingWeights } = await import("../../weights/published/published-weights.js");
  return toBegin(await givenSettings(flags, console), async (name, model) =>
    missingWeights(name, { model }) === null ? weightsPath(console, name, model) : null,
  );
}

/** The path of the weights of a name, for a model; null leaves them to another. */
type PathOf = (name: string, model: string) => Promise<string | null>;

const pathWith =
  (console: Console): PathOf =>
  (name, model) =>
    weightsPath(console, name, model);

/** Rank 0 begins the run, and gets the published weights of the model. */
const ownPath =
  (console: Console): PathOf =>
  async (name, model) =>
    name === "coco" ? null : weightsPath(console, name, model);

async function toBegin(settings: Record<string, unknown>, pathOf: PathOf): Promise<TrainSettings> {
  const { resolveSettings } = await import("../../settings/resolve.js");
  const resolved = resolveSettings(settings);
  const { weights, model: variant, datasetDir } = resolved;
  if (weights === null) return resolved;
  // What is wrong with the data is said before a download.
  const { hasSplit } = await import("../../data/open-dataset.js");
  if (weights === "coco" || !existsSync(weights)) hasSplit(datasetDir, "train");
  const path = await pathOf(weights, variant);
  const isNamed = settings.model !== undefined || (settings.model_name ?? null) !== null;
  if (path === null)
    return isNamed || !variants.includes(weights) ? resolved : resolveSettings({ ...settings, model: weights });
  if (weights === "coco") return { ...resolved, weights: path };
  const { readModelConfig } = await import("../../weights/weights.js");
  const model = isNamed ? {} : { model: readModelConfig(path).variant };
  return { ...resolveSettings({ ...settings, ...model }), weights: path };
}
