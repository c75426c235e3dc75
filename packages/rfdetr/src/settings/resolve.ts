// Turns what a user wrote (config file, flags, options) into a complete, checked configuration.

import { isDeepStrictEqual } from "node:util";
import { type AugConfig, checkAugConfig, withAbsoluteModules } from "../data/augment/config.js";
import type { ModelConfig } from "../model/types.js";
import { resolveModel, variantOfClass } from "../model/variants.js";
import { ConfigError, expected, type RfdetrError } from "../support/errors.js";
import { readJson } from "../support/files/json.js";
import type { Fail } from "../support/files/text-file.js";
import { readYaml } from "../support/files/yaml.js";
import { camelCase, snakeCase } from "../support/names.js";
import { plainObject } from "../support/options.js";
import { instanceOf, isPlain } from "../support/plain.js";
import type { Shape } from "../support/shape.js";
import { shown } from "../support/shown.js";
import { suggest } from "../support/suggest.js";
import { checkTogether } from "./contradictions.js";
import { checkMasks } from "./mask-settings.js";
import { checkPrecision } from "./precision.js";
import { refused } from "./refused-settings.js";
import type { Setting } from "./setting.js";
import { type SettingName, settings, type TrainOptions, type TrainSettings } from "./settings.js";
import { startWeights } from "./start-weights.js";

const names = Object.keys(settings) as SettingName[];

/** Names that people type for settings of another name. */
const aliases: Readonly<Record<string, SettingName>> = {
  dataset: "dataset_dir",
  data: "dataset_dir",
  out: "output_dir",
  batch: "batch_size",
  accumulate: "grad_accum_steps",
  learning_rate: "lr",
  ema: "use_ema",
  validation_interval: "eval_interval",
  workers: "num_workers",
};

/**
 * `demo` trains from random weights in few steps: one learning rate for all weights, a fast average, no scale jitter
 * (with it the model under-fits).
 */
const demo: TrainOptions = {
  epochs: 11,
  maxSteps: 2000,
  batchSize: 8,
  lr: 5e-4,
  lrEncoder: 5e-4,
  lrVitLayerDecay: 1,
  lrComponentDecay: 1,
  lrScheduler: "cosine",
  minFactor: 0.01,
  warmupEpochs: 0.32,
  emaDecay: 0.99,
  multiScale: "off",
  scaleJitter: false,
  evalInterval: 2,
};

/** What a variant trains with where it differs from the general defaults. */
const presets: Readonly<Record<string, TrainOptions>> = { demo, "seg-demo": demo };

/** The training preset of a variant; empty for variants that train with the general defaults. */
export function presetOf(variant: string): TrainOptions {
  return Object.hasOwn(presets, variant) ? presets[variant] : {};
}

/**
 * Completes options with the variant's preset and the defaults, and checks everything.
 * @param options settings by their camelCase or snake_case names; `undefined` counts as not given.
 * @throws ConfigError in one sentence: an unknown name (with the name that was probably meant), a value of the wrong
 * kind, or a setting of the Python package that is refused (with the reason).
 * @example
 * import { resolveSettings } from "rfdetr";
 * const settings = resolveSettings({ datasetDir: "birds/", model: "nano", lr: 2e-4 });
 */
export function resolveSettings(options: TrainOptions | Record<string, unknown>): TrainSettings {
  const resolved = settingsOfRun(options);
  checkTogether(resolved);
  return resolved;
}

/**
 * As {@link resolveSettings}, for a run that has begun: settings that contradict each other do not keep it from being
 * continued.
 */
export function settingsOfRun(options: TrainOptions | Record<string, unknown>): TrainSettings {
  const given = normalise(plainObject("resolveSettings", options));
  const variant = typeof given.model === "string" ? given.model : (settings.model.fallback as string);
  const preset = presetOf(variant) as Record<string, unknown>;
  const result: Record<string, unknown> = {};
  for (const name of names) {
    const key = camelCase(name);
    result[key] = Object.hasOwn(given, name)
      ? checkSetting(name, given[name])
      : (preset[key] ?? settings[name].fallback);
  }
  if (result.datasetDir === undefined)
    throw new ConfigError("Expected a dataset folder but received none", { hint: "Name it with `dataset_dir`" });
  const weights = Object.hasOwn(given, "weights") ? (result.weights as string | null) : undefined;
  result.weights = startWeights(variant, weights);
  if (!Object.hasOwn(given, "box_normaliser") && Number(result.processes) > 1) result.boxNormaliser = "step";
  checkProcesses(result as TrainSettings);
  checkMasks(variant, result);
  checkPrecision(result as TrainSettings);
  if (result.augConfig !== null) {
    checkAugmentation(result as TrainSettings);
    result.augConfig = withAbsoluteModules(result.augConfig as AugConfig);
  }
  return result as TrainSettings;
}

/** Losses of several processes that each divide by their own boxes would not add up to those of one. */
function checkProcesses({ processes, boxNormaliser }: TrainSettings): void {
  if (processes > 1 && boxNormaliser === "micro_batch")
    throw new ConfigError(
      `Expected box_normaliser "step" with ${processes} processes but received "micro_batch": leave it out`,
    );
}

function checkAugmentation({ augConfig, augment }: TrainSettings): void {
  if (augment !== settings.augment.fallback)
    throw new ConfigError(`Expected augment or aug_config but received both: leave one out`);
  try {
    checkAugConfig(augConfig as AugConfig);
  } catch (error) {
    throw new ConfigError((error as Error).message, { cause: error });
  }
}

/** Levels and parts of a value, beyond which it could only be a mistake. */
const limits = { depth: 64, parts: 100_000 } as const;

/** Whether a value is nested without end or beyond the limits, so that no check of it would come to an end. */
function isUnbounded(value: unknown): boolean {
  let level = [value];
  let parts = 0;
  for (let depth = 0; level.length > 0; depth++) {
    parts += level.length;
    if (depth > limits.depth || parts > limits.parts) return true;
    level = level.flatMap((each) => (typeof each === "object" && each !== null ? Object.values(each) : []));
  }
  return false;
}

/** The first part of a value whose values no check would see, such as a Map; undefined where there is none. */
function instanceIn(value: unknown): object | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  if (!Array.isArray(value) && !isPlain(value)) return value;
  for (const part of Object.values(value)) {
    const found = instanceIn(part);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * Settings by snake_case name. What the package nests or names differently (`lr_scheduler_kwargs`, `pretrain_weights`,
 * `model_name`) gets our name. Settings that are not supported are checked and left out.
 */
function normalise(options: Record<string, unknown>): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  const spelt = new Map<string, string>();
  const notOurs: [name: string, value: unknown][] = [];
  const add = (key: string, value: unknown, inner = false) => {
    const name = snakeCase(key);
    if (name === "lr_scheduler_kwargs" && !inner && typeof value === "object" && value !== null) {
      for (const [innerKey, innerValue] of Object.entries(value)) add(innerKey, innerValue, true);
    } else if (name === "model_name") {
      if (value !== null) given.model ??= variantOfClass(String(value));
    } else if (name === "pretrain_weights") given.weights ??= value;
    else if (Object.hasOwn(settings, name)) {
      const other = spelt.get(name);
      if (!inner && other !== undefined)
        throw new ConfigError(`Expected ${name} once but received ${other} and ${key}: leave one out`);
      if (!inner) spelt.set(name, key);
      given[name] = value;
    } else if (Object.hasOwn(refused, name)) notOurs.push([name, value]);
    else throw unknown(key);
  };
  for (const [key, value] of Object.entries(options)) {
    if (isUnbounded(value))
      throw new ConfigError(`Expected a value of at most ${limits.depth} levels and ${limits.parts} parts for ${key}`);
    const part = instanceIn(value);
    if (part !== undefined)
      throw new ConfigError(`Expected plain objects and lists for ${key} but received ${instanceOf(part)}`);
    // The schema of a config file is for editors.
    if (value !== undefined && key !== "$schema") add(key, value);
  }
  for (const [name, value] of notOurs) refuse(name, value, given);
  return given;
}

function refuse(name: string, value: unknown, given: Record<string, unknown>): void {
  const { accepts, fixed, reason } = refused[name];
  const passing = fixed === undefined ? accepts : [fixed(variantOf(given))];
  if (passing.some((accepted) => isDeepStrictEqual(accepted, value))) return;
  const kept = fixed === undefined ? "" : `, only ${JSON.stringify(passing[0])} here`;
  throw new ConfigError(`The setting ${name} = ${JSON.stringify(value)} is not supported${kept}: ${reason}`);
}

/** The sizes of the model that the settings ask for. */
function variantOf({ model, resolution }: Record<string, unknown>): ModelConfig {
  return resolveModel(
    typeof model === "string" ? model : settings.model.fallback,
    typeof resolution === "number" || Array.isArray(resolution) ? { resolution: resolution as Shape } : {},
  );
}

/** The setting that a name in snake_case is probably meant for. */
export function settingNamed(name: string): SettingName | undefined {
  return Object.hasOwn(aliases, name) ? aliases[name] : (suggest(name, names) as SettingName | undefined);
}

/** The error for an unknown name. The name that was probably meant is spelt as the unknown one is. */
function unknown(key: string): RfdetrError {
  const name = snakeCase(key);
  const found = settingNamed(name);
  const meant = found !== undefined && key !== name ? camelCase(found) : found;
  return new ConfigError(
    `Expected a known setting but received ${key}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
  );
}

/** Checks the value of one setting. @param shown name of the setting in errors @throws ConfigError */
export function checkSetting(name: SettingName, value: unknown, shown: string = name): unknown {
  const { without, most }: Setting = settings[name];
  if (most !== undefined && typeof value === "number" && value > most)
    throw new ConfigError(expected(`at most ${most}`, shown, value));
  const parsed = settings[name].type.safeParse(value);
  if (parsed.success) return parsed.data;
  const reason =
    typeof value === "string" && without !== undefined && Object.hasOwn(without, value) ? without[value] : undefined;
  if (reason !== undefined)
    throw new ConfigError(`The setting ${shown} = ${JSON.stringify(value)} is not supported: ${reason}`);
  const wrong = wrongEntry(settings[name], value);
  const [kind, what, received] = wrong === null ? [kindOf(name), shown, value] : wrong(shown);
  const meant = valueMeant(settings[name], received);
  throw new ConfigError(`${expected(kind, what, received)}${meant === undefined ? "" : `: did you mean ${meant}?`}`);
}

/** What the first wrong entry of an object may be, what it is called, and its value; null where the whole is wrong. */
function wrongEntry({ type }: Setting, value: unknown): ((shown: string) => [string, string, unknown]) | null {
  const { additionalProperties: each } = type.toJSONSchema() as JsonSchema;
  const path = type.safeParse(value).error?.issues[0].path ?? [];
  if (typeof each !== "object" || path.length !== 1) return null;
  const [key] = path;
  return (shown) => [describe(each), `${String(key)} in ${shown}`, (value as Record<PropertyKey, unknown>)[key]];
}

/** The value that was probably meant by a text which the setting does not accept. */
function valueMeant({ type, means = {} }: Setting, value: unknown): string | undefined {
  if (typeof value !== "string") return undefined;
  const word = value.toLowerCase();
  if (Object.hasOwn(means, word)) return means[word];
  const words = valuesOf(type.toJSONSchema() as JsonSchema);
  return (
    words.find((each) => each === word || (each === "null" && word === "none")) ??
    (word.length > 1 ? suggest(word, words) : undefined)
  );
}

/** The values that a setting accepts by name. */
function valuesOf({ type, enum: values, const: value, anyOf, additionalProperties: each }: JsonSchema): string[] {
  if (typeof each === "object") return valuesOf(each);
  if (values !== undefined) return values.map(String);
  if (value !== undefined) return [String(value)];
  return type === "boolean" ? ["true", "false"] : type === "null" ? ["null"] : (anyOf ?? []).flatMap(valuesOf);
}

/** The values that a setting accepts, in words. */
export function kindOf(name: SettingName): string {
  const setting: Setting = settings[name];
  return setting.takes ?? describe(setting.type.toJSONSchema() as JsonSchema);
}

interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: JsonSchema[];
  additionalProperties?: JsonSchema | boolean;
  minimum?: number;
  maximum?: number;
  exclusiveMinimum?: number;
  exclusiveMaximum?: number;
}

function describe(schema: JsonSchema): string {
  if (schema.enum) return `one of ${schema.enum.map((value) => JSON.stringify(value)).join(", ")}`;
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(describe).join(" or ");
  if (schema.type === "integer") return schema.exclusiveMinimum === 0 ? "positive integer" : "integer of 0 or more";
  if (schema.type === "number" && schema.exclusiveMaximum === 1) return "number from 0 to below 1";
  if (schema.type === "number") return schema.maximum === 1 ? "number from 0 to 1" : "number of 0 or more";
  if (schema.type === "boolean") return "true or false";
  if (schema.type === "string") return "text";
  return schema.type ?? "any value";
}

/**
 * Reads a config file (JSON, or YAML if it is called so; snake_case or camelCase names), the `config.json` of a run, or
 * a `training_config.json` of the package.
 * @throws ConfigError naming the file
 */
export function readConfigFile(path: string): Record<string, unknown> {
  return settingsIn(readObject(path));
}

/** What a config file holds, as it is. @throws ConfigError naming the file */
export function readObject(path: string): Record<string, unknown> {
  const fail: Fail = (message, cause) => new ConfigError(message, { cause });
  const value = /\.ya?ml$/i.test(path) ? readYaml(path, fail) : readJson(path, fail);
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw new ConfigError(`Expected an object of settings in ${path} but received ${shown(value)}`);
  return value as Record<string, unknown>;
}

/** Whether it is what the `config.json` of a run holds. */
export function isRunConfig(file: object): file is { started: string; settings: Record<string, unknown> } {
  const { started, settings: own } = file as Record<string, unknown>;
  return typeof started === "string" && typeof own === "object" && own !== null && isPlain(own);
}

/**
 * The settings in what a config file holds. `data` is `dataset_dir`, as in `detector.train`. A run's `config.json`
 * holds its settings in an object; its folder is not taken, since a run never writes over another. The package's
 * `training_config.json` holds those of training and model in two objects, and names the variant by its class.
 */
export function settingsIn({ data, ...rest }: Record<string, unknown>): Record<string, unknown> {
  if (isRunConfig(rest)) {
    const { output_dir: _, ...settings } = rest.settings;
    return settings;
  }
  if (data !== undefined && rest.dataset_dir !== undefined)
    throw new ConfigError("Expected data or dataset_dir but received both: leave one out");
  const file = data === undefined ? rest : { ...rest, dataset_dir: data };
  const { train_config: train, model_config: model, model_config_type: type } = file as Record<string, unknown>;
  if (typeof train !== "object" || typeof model !== "object") return file;
  const { model_name: name, amp, ...sizes } = (model ?? {}) as Record<string, unknown>;
  const { amp_dtype: dtype = "auto" } = (train ?? {}) as Record<string, unknown>;
  // `config._resolve_amp_dtype`: `amp` counts only where `amp_dtype` leaves the precision open.
  return {
    ...sizes,
    ...(dtype === "auto" && amp !== undefined ? { amp } : {}),
    ...train,
    model_name: name ?? (typeof type === "string" ? type.replace(/Config$/, "") : null),
  };
}

/** The settings by their names in files. */
export function toFile(config: TrainSettings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(config).map(([key, value]) => [snakeCase(key), value]));
}
