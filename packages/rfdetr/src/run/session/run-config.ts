// What `config.json` of a run holds.

import { relative, resolve } from "node:path";
import { type Precision, precisions } from "@rfdetr/amp/names";
import { engine } from "@rfdetr/torch";
import { z } from "zod";
import { toFile } from "../../settings/resolve.js";
import type { TrainSettings } from "../../settings/settings.js";
import { RunDirectoryError } from "../../support/errors.js";
import { schemaFault } from "../../support/files/schema-fault.js";
import { machineLine } from "../../support/machine/machine.js";
import { packageVersion } from "../../support/machine/version.js";
import type { ClassRow } from "../../weights/classes/class-rows.js";
import type { RunDirectory, RunVersions } from "../files/run-directory.js";
import type { DataContents } from "./data-contents.js";
import type { Session } from "./session.js";

/** Where the data of a run are, and what they hold. */
export interface BoundData extends DataContents {
  /** Absolute. */
  path: string;
  /** Relative to the folder of the run, for a run that moves together with its data. */
  relative: string;
  /** SHA-256 of each module of own augmentations, by its path. */
  modules?: Readonly<Record<string, string>>;
}

/** What was changed when a run was continued. */
interface RunChange {
  /** When, ISO 8601. */
  at: string;
  /** The step after which the run was continued. */
  step: number;
  /** Old and new values of settings, by their names in files. */
  settings: Record<string, [before: unknown, now: unknown]>;
  /** How the data differ from what they were, in words. */
  data: string[];
}

/** The content of `config.json`. */
export interface RunConfig {
  /** When the run was first started, ISO 8601. */
  started: string;
  /** By their names in files. */
  settings: Record<string, unknown>;
  seed: number;
  class_names: string[];
  /** The row of the class heads in the weights that each class started from; absent where it started from none. */
  class_rows?: ClassRow[];
  model_config: Record<string, unknown>;
  /** Optimizer steps of an epoch. Files of earlier versions lack it. */
  steps_per_epoch?: number;
  precision: Precision;
  /** Why this precision. */
  reason: string;
  hardware: string;
  versions: RunVersions;
  /** SHA-256 of the module of the callbacks; absent without callbacks. */
  callbacks_sha256?: string;
  data: BoundData;
  /** What was changed each time that the run was continued; absent where nothing was. */
  changes?: RunChange[];
}

/** The versions that a run in this process is computed with. */
export function runVersions(): RunVersions {
  return { rfdetr: packageVersion(), node: process.version, libtorch: engine().version };
}

/** The configuration of a session that begins. */
export function runConfig(session: Session): RunConfig {
  return {
    started: session.started,
    settings: toFile(session.settings),
    seed: session.seed,
    class_names: [...session.data.classNames],
    ...(session.classRows === null ? {} : { class_rows: session.classRows }),
    model_config: { ...session.modelConfig },
    steps_per_epoch: session.stepsPerEpoch,
    precision: session.precision,
    reason: session.reason,
    hardware: machineLine(),
    versions: runVersions(),
    ...(session.callbacksHash === null ? {} : { callbacks_sha256: session.callbacksHash }),
    data: boundData(session),
  };
}

/**
 * The settings that a checkpoint keeps, to compare those of `config.json` with, by their names in files and as JSON has
 * them. The place of the data is not among them: data may move, and what they hold is compared by itself.
 * @param seed the one that is used: the setting may leave it open
 */
export function comparedSettings(settings: TrainSettings, seed: number): Record<string, unknown> {
  const { dataset_dir: _, ...compared } = toFile({ ...settings, seed });
  return JSON.parse(JSON.stringify(compared));
}

/** Where the data of a session are and what they hold. */
export function boundData({ settings, directory, data }: Pick<Session, "settings" | "directory" | "data">): BoundData {
  const path = resolve(settings.datasetDir);
  const modules = data.modules === undefined ? {} : { modules: data.modules };
  return { path, relative: relative(directory.path, path), ...data.contents, ...modules };
}

const split = z.object({ images: z.number(), objects: z.number(), sha256: z.string() });
const schema = z.object({
  started: z.string(),
  settings: z.record(z.string(), z.unknown()),
  seed: z.number().int().nonnegative(),
  class_names: z.array(z.string()),
  precision: z.enum(precisions),
  reason: z.string(),
  callbacks_sha256: z.string().optional(),
  data: z.object({
    path: z.string(),
    relative: z.string(),
    train: split,
    valid: split,
    modules: z.record(z.string(), z.string()).optional(),
  }),
  changes: z.array(z.unknown()).optional(),
});

/** Reads the configuration of a run. @throws RunDirectoryError when it is damaged */
export function readRunConfig(directory: RunDirectory): RunConfig {
  const config = directory.readJson("config.json");
  if (config === null || typeof config !== "object" || !("settings" in config))
    throw new RunDirectoryError(
      `Expected the folder of a run to continue but ${directory.file("config.json")} is not the configuration of one`,
    );
  const fault = schemaFault(schema, config);
  if (fault !== null)
    throw new RunDirectoryError(`${fault} in ${directory.file("config.json")}: it is not that of a run, or damaged`);
  return config as RunConfig;
}
