// A run that is continued: its settings, what may change in them, its checkpoint and its data.
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { settingsOfRun, toFile } from "../../settings/resolve.js";
import type { SettingName, TrainSettings } from "../../settings/settings.js";
import { addHint, ConfigError, DataError, RfdetrError, RunDirectoryError } from "../../support/errors.js";
import { camelCase } from "../../support/names.js";
import { shown } from "../../support/shown.js";
import { type SavedProgress, soundCheckpoint } from "../files/checkpoint/checkpoint.js";
import { RunDirectory } from "../files/run-directory.js";
import { noRollbacks } from "../steps/progress.js";
import { spentSeconds } from "../steps/time-budget.js";
import { dataDifferences, moduleDifferences } from "./data-contents.js";
import { boundData, comparedSettings, type RunConfig, readRunConfig } from "./run-config.js";
import type { Session } from "./session.js";
import type { TrainData } from "./training-data.js";

/** The settings that may change when a run is continued, by their names in files. */
export const changeable = [
  "dataset_dir",
  "epochs",
  "max_steps",
  "time_budget",
  "lr",
  "lr_encoder",
  "optimizer_state",
  "callbacks",
] as const satisfies SettingName[];

/** New values of settings for a run that is continued. Data that are named again may have changed. */
export type ResumeChanges = Partial<
  Pick<
    TrainSettings,
    "datasetDir" | "epochs" | "maxSteps" | "timeBudget" | "lr" | "lrEncoder" | "optimizerState" | "callbacks"
  >
>;

/**
 * The settings that a run continues with. Its data are looked for where they were, then in the same place relative to
 * the folder of the run. They keep the name that the user gave them where it leads there.
 * @throws RunDirectoryError when the folder is not that of a run, or its configuration is damaged
 */
export function resumeConfig(folder: string): TrainSettings {
  const directory = RunDirectory.at(folder);
  const { settings, data } = readRunConfig(directory);
  try {
    const resolved = settingsOfRun(settings);
    const places = data === undefined ? [] : [data.path, resolve(directory.path, data.relative)];
    const found = places.find((path) => existsSync(path)) ?? resolved.datasetDir;
    return { ...resolved, datasetDir: found === resolve(resolved.datasetDir) ? resolved.datasetDir : found };
  } catch (error) {
    if (!RfdetrError.is(error)) throw error;
    throw new RunDirectoryError(`The settings in ${directory.file("config.json")} cannot be used: ${error.message}`, {
      cause: error,
    });
  }
}

/** A run that was begun before. */
export interface ResumedRun {
  directory: RunDirectory;
  config: RunConfig;
  /** Where it continues; null where it was killed before its first checkpoint. */
  progress: SavedProgress | null;
  /** What to tell the user of the checkpoint and of settings that were changed since. */
  warnings: string[];
  /** Whether it had ended and trains on. */
  extended: boolean;
  /** Whether the user has named its data again. */
  dataNamed: boolean;
}

/**
 * Reads what a run continues from.
 * @throws RunDirectoryError when its configuration is damaged, or settings in it were changed since the checkpoint that
 * may not change; CheckpointError when it had checkpoints and none can be
 * used; ConfigError when the changes ask for less than is done
 */
export function openResumed(directory: RunDirectory, settings: TrainSettings, changes: ResumeChanges = {}): ResumedRun {
  const config = readRunConfig(directory);
  const found = findCheckpoint(directory);
  const progress = found?.progress ?? null;
  const edited = found === null ? null : editedSettings(directory, found, settings, changes);
  const warnings = [found?.warning ?? null, edited].filter((text) => text !== null);
  const goesOn = progress === null || trainsOn(progress, settings, changes);
  const extended = goesOn && progress?.finished === true;
  return { directory, config, progress, warnings, extended, dataNamed: changes.datasetDir !== undefined };
}

/** @returns null for a run that was killed before its first checkpoint */
function findCheckpoint(directory: RunDirectory): ReturnType<typeof soundCheckpoint> | null {
  if (!directory.hasCheckpoint()) return null;
  try {
    const { warning, ...position } = soundCheckpoint(directory.checkpoint);
    const missing = `The last checkpoint is missing: the run continues from the one before, of step ${position.progress.step}`;
    return { ...position, warning: warning ?? (directory.recovered ? missing : null) };
  } catch (error) {
    const { weights } = directory;
    if (!RfdetrError.is(error) || weights === null) throw error;
    throw addHint(error, `Start a new run from its weights with \`weights\` ${weights}`);
  }
}

/**
 * Compares the settings of `config.json` with those of the checkpoint. Settings of one of them only are of another
 * version.
 * @returns which were changed there that may change, in words; null where none was
 * @throws RunDirectoryError when one was changed that may not
 */
function editedSettings(
  directory: RunDirectory,
  { settings: saved, progress: { step } }: Pick<ReturnType<typeof soundCheckpoint>, "settings" | "progress">,
  settings: TrainSettings,
  changes: ResumeChanges,
): string | null {
  const made = settings.precisionChanges.filter((change) => change.step <= step);
  const now = comparedSettings({ ...settings, precisionChanges: made }, readRunConfig(directory).seed);
  const named = new Set(Object.keys(toFile(changes as TrainSettings)));
  const edited = Object.keys(now).filter(
    (name) => Object.hasOwn(saved, name) && !named.has(name) && !isDeepStrictEqual(saved[name], now[name]),
  );
  const list = (names: string[]) =>
    names.map((name) => `${name} was ${shown(saved[name])} and is ${shown(now[name])}`).join("; ");
  const fixed = edited.filter((name) => !changeable.some((other) => other === name));
  const path = directory.file("config.json");
  if (fixed.length > 0)
    throw new RunDirectoryError(`Settings in ${path} have changed since the checkpoint: ${list(fixed)}`, {
      hint: "Put them back to continue the run; other settings need a new run",
    });
  return edited.length === 0
    ? null
    : `Settings in ${path} have changed since the checkpoint: ${list(edited)}. The run goes on with them as they are now`;
}

/**
 * Whether a run that has ended trains on with these changes: only if it is asked to, and has steps to take.
 * @throws ConfigError when the changes ask for less than is done already, or leave an ended run nothing to do
 */
export function trainsOn(progress: SavedProgress, settings: TrainSettings, changes: ResumeChanges): boolean {
  const steps = progress.step - (progress.rollbacks ?? noRollbacks).undone;
  const { epochs, maxSteps, timeBudget } = changes;
  const most = maxSteps === undefined ? settings.maxSteps : maxSteps;
  if (epochs !== undefined && epochs < progress.epoch + (progress.stepInEpoch > 0 ? 1 : 0))
    throw new ConfigError(`Expected more epochs than the run has trained, ${progress.epoch}, but received ${epochs}`);
  if (typeof maxSteps === "number" && maxSteps < steps)
    throw new ConfigError(`Expected more max_steps than the run has taken, ${steps}, but received ${maxSteps}`);
  const asked = epochs !== undefined || maxSteps !== undefined || timeBudget !== undefined;
  if (progress.finished && !asked) return false;
  // A run that was interrupted ends with an evaluation where its time is used up, unless it is given another.
  const budget = timeBudget === undefined && progress.finished ? settings.timeBudget : (timeBudget ?? null);
  const spent = Math.ceil(spentSeconds(progress));
  if (budget !== null && budget <= spentSeconds(progress) && timeBudget === undefined)
    throw new ConfigError(`The run ended after its time_budget of ${budget} seconds, and has used ${spent}`, {
      hint: "Raise `time_budget` as well to train on",
    });
  if (budget !== null && budget <= spentSeconds(progress))
    throw new ConfigError(
      `Expected a time_budget above the ${spent} seconds that the run has used but received ${budget}`,
    );
  if (!progress.finished) return true;
  if (timeBudget !== undefined && (epochs ?? settings.epochs) <= progress.epoch)
    throw new ConfigError(`The run ended in the last of its epochs, ${settings.epochs}`, {
      hint: "Raise `epochs` as well to train on",
    });
  if ((epochs ?? settings.epochs) <= progress.epoch) return false;
  if (most === null || most > steps) return true;
  throw new ConfigError(`The run ended after max_steps = ${most} steps`, {
    hint: "Raise `max_steps` as well to train on",
  });
}

/** Adds to an error of the data of a resumed run what to do when they are gone. @returns the error */
export function whereDataWere(error: unknown, datasetDir: string): unknown {
  if (!RfdetrError.is(error) || existsSync(datasetDir)) return error;
  return addHint(error, "If the data of the run have moved, name their new place with `dataset_dir`");
}

/**
 * Holds the data to those that the run began with.
 * @returns how they differ, in phrases
 * @throws DataError when the classes differ; when anything else differs and the data were not named again
 */
export function compareData({ config, dataNamed }: ResumedRun, data: TrainData, datasetDir: string): string[] {
  const [old, is] = [config.class_names, [...data.classNames]];
  if (old.join("\n") !== is.join("\n"))
    throw new DataError(
      `Expected the classes of the run, ${old.join(", ")}, in ${datasetDir} but found ${is.join(", ")}`,
      { hint: "Continue with the data of the run; other classes need a new run" },
    );
  const differences = dataDifferences(config.data, data.contents);
  if (differences.length > 0 && !dataNamed)
    throw new DataError(`The data of the run in ${datasetDir} have changed: ${differences.join("; ")}`, {
      hint: `Name them again with \`dataset_dir\` ${datasetDir} to continue with them as they are`,
    });
  return [...differences, ...moduleDifferences(config.data.modules, data.modules)];
}

/**
 * What has changed in the callbacks since the run was last continued, in words: the module, and names that are gone.
 * @returns empty where nothing has
 */
export function changedCallbacks(session: Session, before: RunConfig): string[] {
  const { callbacksHash, callbacks, settings, progress } = session;
  const missing = progress.callbacks === undefined ? [] : (callbacks?.missing(progress.callbacks) ?? []);
  const lost = missing.map(
    (name) =>
      `The run has no callbacks ${name} any more: what they remembered and their learning rate factor are dropped`,
  );
  const old = before.callbacks_sha256;
  if (callbacksHash === null || old === undefined || old === callbacksHash) return lost;
  return [
    ...lost,
    `The callbacks in ${settings.callbacks} have changed since the run began or was last continued (SHA-256 ${old.slice(0, 12)}… → ${callbacksHash.slice(0, 12)}…): it goes on with them as they are`,
  ];
}

/** Writes what has changed into config.json. @returns it in words to print; null where nothing has */
export function recordChanges(session: Session, before: RunConfig, differences: readonly string[]): string | null {
  const { directory, settings, progress } = session;
  const changed = changeable.flatMap((name) => {
    const now = settings[camelCase(name) as keyof ResumeChanges];
    return name === "dataset_dir" || (before.settings[name] ?? null) === now
      ? []
      : [[name, [before.settings[name], now]] as const];
  });
  const data = boundData(session);
  const moved = before.data.path !== data.path;
  const callbacks = session.callbacksHash ?? undefined;
  const others = callbacks !== before.callbacks_sha256;
  if (moved || changed.length > 0 || differences.length > 0 || others)
    directory.writeJson("config.json", {
      ...before,
      settings: {
        ...before.settings,
        ...Object.fromEntries(changed.map(([name, [, now]]) => [name, now])),
        ...(moved ? { dataset_dir: settings.datasetDir } : {}),
      },
      data,
      steps_per_epoch: session.stepsPerEpoch,
      callbacks_sha256: callbacks,
      changes: [
        ...(before.changes ?? []),
        ...(changed.length > 0 || differences.length > 0
          ? [
              {
                at: new Date().toISOString(),
                step: progress.step,
                settings: Object.fromEntries(changed),
                data: differences,
              },
            ]
          : []),
      ],
    });
  const words = [
    ...changed.map(([name, [old, now]]) => `${name} ${old} → ${now}`),
    ...(moved ? [`the data are in ${data.path} now`] : []),
    ...differences,
  ];
  return words.length === 0 ? null : `Changed since the run began or was last continued: ${words.join("; ")}`;
}
