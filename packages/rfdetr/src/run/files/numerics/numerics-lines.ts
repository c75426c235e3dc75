// The lines of numerics.jsonl, checked as far as their readers rely on them.
import { type FaultPhase, parseRecord } from "@rfdetr/amp/records";
import {
  type ControlRecord,
  type HeaderRecord,
  type MonitorRecord,
  numericsVersion,
  type OverflowRecord,
  type ProgressRecord,
  type RollbackRecord,
} from "./numerics-records.js";
import type { GroupRecord, RankColumns } from "./rank-records.js";

/** A step, as far as its readers rely on it. */
export interface StepLine {
  kind: "step";
  step: number;
  skipped: boolean;
  scale: number;
  /** `grad_norm` of the record. */
  norm: number;
  fault: string | null;
  bad_parameter: string | null;
  bad_module: string | null;
  epoch: number;
  loss: number;
  /** Where the run was after it; null where the record does not tell. */
  progress: ProgressRecord | null;
  /**
   * All its numbers by name but those of `progress`; those of a group have both names, such as `memory.peak_bytes`.
   */
  figures: [name: string, value: number][];
  /** Whether bytes of its `memory` are none, and therefore not among the figures. */
  lacksMemory: boolean;
  /** What each process did; null for a step of one process, and where it is damaged. */
  ranks: RankColumns | null;
}

/** A line of the file. */
export type NumericsLine =
  | HeaderRecord
  | StepLine
  | MonitorRecord
  | OverflowRecord
  | RollbackRecord
  | ControlRecord
  | GroupRecord
  /** A kind that a later version of the program may have added. */
  | { kind: "unknown"; step: number | null };

/**
 * Reads a line of the file.
 * @param text null for a line that is too long to be a record
 * @returns null for a damaged line, and for a record of another version
 */
export function readLine(text: string | null): NumericsLine | null {
  const record = parsed(text);
  if (record?.v !== numericsVersion) return null;
  switch (record.kind) {
    case "header":
      return isHeader(record) ? record : null;
    case "step":
      return stepLine(record);
    case "monitor":
      return isMonitorRecord(record) ? record : null;
    case "overflow":
      return isOverflow(record) ? record : null;
    case "rollback":
      return isRollback(record) ? record : null;
    case "control":
      return isControl(record) ? record : null;
    case "group":
      return isGroup(record) ? record : null;
    default:
      return { kind: "unknown", step: stepOf(record) };
  }
}

function parsed(text: string | null): Line | null {
  try {
    const value: unknown = parseRecord(text ?? "");
    return isLine(value) ? value : null;
  } catch {
    return null;
  }
}

type Line = Record<string, unknown>;
const isLine = (value: unknown): value is Line => value !== null && typeof value === "object";

const isNumber = (value: unknown): value is number => typeof value === "number";
const isText = (value: unknown): value is string => typeof value === "string";
const isTextOrNull = (value: unknown): value is string | null => value === null || isText(value);
const isListOf = (value: unknown, isEntry: (entry: unknown) => boolean): boolean =>
  Array.isArray(value) && value.every(isEntry);
const isTexts = (value: unknown): value is string[] => isListOf(value, isText);
/** A figure that is finite in every run, whatever its tensors hold. */
const isFiniteNumber = (value: unknown): value is number => isNumber(value) && Number.isFinite(value);
const isAmount = (value: unknown): value is number => isFiniteNumber(value) && value >= 0;
/** Whether it is an object that has bytes under these names, and nothing else under others. */
const hasBytes = (value: unknown, names: readonly string[] = []): boolean =>
  isLine(value) && Object.values(value).every(isAmount) && names.every((name) => Object.hasOwn(value, name));
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** Names and numbers that are no figures of their own. */
const notFigures: ReadonlySet<string> = new Set(["v", "kind", "step", "progress"]);

/** The number of the step that a record belongs to; null where it has none. */
function stepOf({ step }: Line): number | null {
  return isCount(step) ? step : null;
}

function stepLine(record: Line): StepLine | null {
  const step = stepOf(record);
  const { skipped, scale, grad_norm, fault, bad_parameter, bad_module } = record;
  if (step === null || typeof skipped !== "boolean" || !isFiniteNumber(scale) || !isNumber(grad_norm)) return null;
  if (!isTextOrNull(fault) || !isTextOrNull(bad_parameter) || !isTextOrNull(bad_module)) return null;
  const figures: StepLine["figures"] = [];
  const lacksMemory = "memory" in record && !hasBytes(record.memory);
  for (const [name, value] of Object.entries(record)) {
    if (notFigures.has(name)) continue;
    if (isNumber(value)) figures.push([name, value]);
    else if (isLine(value) && !Array.isArray(value))
      for (const [inner, part] of Object.entries(value))
        if (isNumber(part) && (name !== "memory" || isAmount(part))) figures.push([`${name}.${inner}`, part]);
  }
  const ranks = ranksOf(record);
  const progress = isProgress(record.progress) ? record.progress : null;
  const [epoch, loss] = [record.epoch, record.loss].map((value) => (isNumber(value) ? value : Number.NaN));
  const facts = { skipped, scale, norm: grad_norm, fault, bad_parameter, bad_module, epoch, loss, progress };
  return { kind: "step", step, ...facts, figures, lacksMemory, ranks };
}

const isProgress = (value: unknown): value is ProgressRecord =>
  isLine(value) &&
  [value.step_in_epoch, value.steps_per_epoch, value.total_steps, value.skipped_steps].every(isCount) &&
  (value.planned_epochs === null || isCount(value.planned_epochs)) &&
  isFiniteNumber(value.images_per_second) &&
  isNumber(value.seconds_left);

function ranksOf({ ranks }: Line): RankColumns | null {
  if (!isLine(ranks)) return null;
  const columns = (["images", "work", "load", "wait", "grad_norm"] as const).map((name) => {
    const column = ranks[name];
    return Array.isArray(column) ? column.map((value) => (isNumber(value) ? value : Number.NaN)) : [];
  });
  const [images, work, load, wait, grad_norm] = columns;
  const isWhole = images.length > 0 && columns.every(({ length }) => length === images.length);
  return isWhole ? { images, work, load, wait, grad_norm } : null;
}

function isHeader(record: Line): record is Line & HeaderRecord {
  const { precision, reason, note, policy, hardware, overrides, monitor_interval, fixed_bytes } = record;
  return (
    isTexts([precision, reason, policy, hardware]) &&
    isTextOrNull(note) &&
    isLine(overrides) &&
    Object.values(overrides).every(isText) &&
    (record.splits === undefined || typeof record.splits === "boolean") &&
    (record.calibration === undefined || isListOf(record.calibration, isCalibrated)) &&
    isNumber(monitor_interval) &&
    hasBytes(fixed_bytes, ["weights", "gradients", "moments", "average"])
  );
}

const isCalibrated = (row: unknown): boolean => {
  if (!isLine(row)) return false;
  const { precision, step_seconds, speedup, peak_tensor_bytes, memory_ratio, gradient_cosine, rounding_cosine } = row;
  return (
    isText(precision) &&
    [step_seconds, speedup, memory_ratio].every(isFiniteNumber) &&
    isAmount(peak_tensor_bytes) &&
    [gradient_cosine, rounding_cosine ?? 0].every(isNumber)
  );
};

function isMonitorRecord(record: Line): record is Line & MonitorRecord {
  const { scale, forward, gradient, updates, images, forecasts, memory, written_bytes } = record;
  return (
    stepOf(record) !== null &&
    isFiniteNumber(scale) &&
    isListOf(forward, isModule) &&
    isListOf(gradient, isModule) &&
    isListOf(updates, isUpdate) &&
    isTexts(images) &&
    isListOf(forecasts, isForecast) &&
    (memory === null || isPeak(memory)) &&
    hasBytes(written_bytes, ["half", "full"])
  );
}

const shares = ["non_finite", "fp16_flush", "fp16_subnormal", "fp16_saturate", "bf16_flush"] as const;

const isModule = (module: unknown): boolean =>
  isLine(module) &&
  isTexts([module.path, module.dtype]) &&
  isNumber(module.amax) &&
  shares.every((name) => isFiniteNumber(module[name])) &&
  isLine(module.largest) &&
  isText(module.largest.dtype) &&
  isNumber(module.largest.value) &&
  isListOf(module.largest.index, isFiniteNumber) &&
  isLine(module.exponents) &&
  isExponent(module.exponents.first) &&
  isListOf(module.exponents.counts, isNumber) &&
  (module.exponents.counts as unknown[]).length <= 2200;

/** Those of float64 lie between −1074 and 1023. */
const isExponent = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) <= 1100;

const isUpdate = (update: unknown): boolean =>
  isLine(update) && isText(update.name) && isNumber(update.ratio) && isNumber(update.bf16_lost);

const isForecast = (value: unknown): boolean => {
  if (!isLine(value) || !isLine(value.basis)) return false;
  const { path, side, dtype, headroom, bits_per_step, steps, watched_steps, basis } = value;
  const { first, records, r2 } = basis;
  return (
    isTexts([path, side, dtype]) &&
    [headroom, bits_per_step, steps, watched_steps, first, records, r2].every(isFiniteNumber)
  );
};

const isPeak = (value: unknown): boolean =>
  isLine(value) &&
  stepOf(value) !== null &&
  isAmount(value.bytes) &&
  isText(value.phase) &&
  hasBytes(value.kinds) &&
  hasBytes(value.dtypes);

function isOverflow(record: Line): record is Line & OverflowRecord {
  const { precision, phase, scale, files, readers, advice, inputs, weights, trail, output, module, operator } = record;
  return (
    stepOf(record) !== null &&
    isText(precision) &&
    phases.some((each) => each === phase) &&
    isFiniteNumber(scale) &&
    [files, readers, advice].every(isTexts) &&
    [inputs, weights].every((facts) => isListOf(facts, isFacts)) &&
    isListOf(trail, isTrail) &&
    (output === null || isFacts(output)) &&
    [module, operator, record.bad_parameter].every(isTextOrNull) &&
    isCount(record.bad_parameters)
  );
}

const phases = ["input", "weight", "forward", "target", "loss", "backward", "none"] as const satisfies FaultPhase[];

const isFacts = (facts: unknown): boolean => {
  if (!isLine(facts)) return false;
  const { name, dtype, shape, min, max, amax, nan, infinite } = facts;
  return (
    isTexts([name, dtype]) &&
    isListOf(shape, isCount) &&
    [min, max, amax].every(isFiniteNumber) &&
    [nan, infinite].every(isCount)
  );
};

const isTrail = (entry: unknown): boolean =>
  isLine(entry) && isTexts([entry.path, entry.operator, entry.dtype]) && isNumber(entry.amax);

const isRollback = (record: Line): record is Line & RollbackRecord =>
  stepOf(record) !== null && isCount(record.to_step) && isAmount(record.lr_factor) && isTextOrNull(record.fault);

/** A command that this version does not know may be one of a later one. */
function isControl(record: Line): record is Line & ControlRecord {
  const { command, by, pattern, rule, overrides } = record;
  const said = [pattern, rule].filter((each) => each !== undefined);
  return (
    stepOf(record) !== null &&
    isTexts([command, by]) &&
    isTexts(said) &&
    (command !== "override" || said.length === 2) &&
    (overrides === undefined || (isLine(overrides) && Object.values(overrides).every(isText)))
  );
}

const isGroup = (record: Line): record is Line & GroupRecord =>
  stepOf(record) !== null && isTexts(record.hosts) && record.hosts.length > 0;
