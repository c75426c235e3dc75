// The run that the flags of `rfdetr train` ask for: a new one, one that goes on, or, in a process that a launcher has
// started, a part of either.
import { continued, mayRestart } from "../run/launch/last-launch.js";
import { readPlace } from "../run/launch/place.js";
import type { TrainRunOptions } from "../run/train-run.js";
import type { TrainSettings } from "../settings/settings.js";
import type { Console } from "./console.js";
import { positiveInteger, weightsPath } from "./context.js";
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
  const launched = readPlace(process.env, 1, processes);
  const isOther = launched !== null && launched.place.rank > 0;
  if (resume !== undefined) return toResume(rest as SettingFlags, resume, processes, isOther);
  const settings = await givenSettings(flags);
  if (launched === null) return { settings: await toBegin(settings, console) };
  const { place, restarts } = launched;
  const out = typeof settings.output_dir === "string" ? settings.output_dir : null;
  if (restarts > 0) {
    if (isOther) return { settings: null };
    const run = continued(out, restarts, process.env);
    if (run !== null) return toResume({ amp: true }, run, undefined, isOther);
  } else if (out === null && place.rank === 0 && mayRestart(process.env))
    console.warning("The launcher may start this run anew, and can continue it only in a folder that --out names");
  return { settings: await toBegin({ processes: place.size, ...settings }, console) };
}

/** The settings of the flags; a config file may be a module. */
async function givenSettings(flags: SettingFlags): Promise<Record<string, unknown>> {
  const { settingsOf } = await import("./setting-flags.js");
  const { loadConfig } = await import("../settings/config-file.js");
  const { config } = flags;
  return settingsOf(typeof config === "string" ? { ...flags, config: await loadConfig(config) } : flags);
}

async function toResume(
  flags: SettingFlags,
  resume: string,
  processes: number | undefined,
  isOther: boolean,
): Promise<ToTrain> {
  const { resumeChanges } = await import("./resume-flags.js");
  const { resumeConfig } = await import("../run/session/resume.js");
  const options = { resume, changes: resumeChanges(flags), ...(processes === undefined ? {} : { processes }) };
  return { settings: isOther ? null : resumeConfig(resume), ...options };
}

async function toBegin(settings: Record<string, unknown>, console: Console): Promise<TrainSettings> {
  const { resolveSettings } = await import("../settings/resolve.js");
  const resolved = resolveSettings(settings);
  if (resolved.weights === null) return resolved;
  const path = await weightsPath(console, resolved.weights);
  const { readModelConfig } = await import("../weights/weights.js");
  const isNamed = settings.model !== undefined || (settings.model_name ?? null) !== null;
  const model = isNamed ? {} : { model: readModelConfig(path).variant };
  return { ...resolveSettings({ ...settings, ...model }), weights: path };
}
