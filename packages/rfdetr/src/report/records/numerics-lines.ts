// The lines of numerics.jsonl, checked as far as their readers rely on them.
import type { MonitorRecord, OverflowReport } from "@rfdetr/amp";
import type { ControlRecord, RollbackRecord } from "@rfdetr/amp/records";
import type { GroupRecord, RankColumns } from "../../run/files/rank-records.js";

/** A step, as far as every version of the file has it. */
export interface StepLine {
  step: number;
  skipped: boolean;
  scale: number;
  /** NaN where it is not recorded. */
  norm: number;
  fault: string | null;
  bad_parameter: string | null;
  bad_module: string | null;
  /** All its numbers by name; those of a group have both names, such as `memory.peak_bytes`. */
  figures: [name: string, value: number][];
}

const special: Readonly<Record<string, number>> = {
  nan: Number.NaN,
  inf: Number.POSITIVE_INFINITY,
  "-inf": Number.NEGATIVE_INFINITY,
};

/** A number of a record, which may be written as "nan", "inf" or "-inf"; null for anything else. */
function numberOf(value: unknown): number | null {
  if (typeof value === "number") return value;
  return typeof value === "string" && Object.hasOwn(special, value) ? special[value] : null;
}

const textOf = (value: unknown): string | null => (typeof value === "string" ? value : null);

/** Names and numbers that are no figures of their own. */
const notFigures: ReadonlySet<string> = new Set(["v", "kind", "step"]);

/** Reads a record of a step; null where it lacks its number. */
export function stepOf(record: Record<string, unknown>): StepLine | null {
  const { step } = record;
  if (typeof step !== "number" || !Number.isSafeInteger(step) || step < 0) return null;
  const figures: StepLine["figures"] = [];
  for (const [name, value] of Object.entries(record)) {
    if (notFigures.has(name)) continue;
    const number = numberOf(value);
    if (number !== null) figures.push([name, number]);
    else if (value !== null && typeof value === "object" && !Array.isArray(value))
      for (const [inner, part] of Object.entries(value)) {
        const figure = numberOf(part);
        if (figure !== null) figures.push([`${name}.${inner}`, figure]);
      }
  }
  return {
    step,
    skipped: record.skipped === true,
    scale: numberOf(record.scale) ?? 1,
    norm: numberOf(record.grad_norm) ?? Number.NaN,
    fault: textOf(record.fault),
    bad_parameter: textOf(record.bad_parameter),
    bad_module: textOf(record.bad_module),
    figures,
  };
}

/** What each process did in a step; null for a step of one process, and where it is damaged. */
export function ranksOf({ ranks }: Record<string, unknown>): RankColumns | null {
  if (ranks === null || typeof ranks !== "object") return null;
  const named = ranks as Record<string, unknown>;
  const columns = (["images", "work", "load", "wait", "grad_norm"] as const).map((name) => {
    const column = named[name];
    return Array.isArray(column) ? column.map((value) => numberOf(value) ?? Number.NaN) : [];
  });
  const [images, work, load, wait, grad_norm] = columns;
  const isWhole = images.length > 0 && columns.every(({ length }) => length === images.length);
  return isWhole ? { images, work, load, wait, grad_norm } : null;
}

type Line = Record<string, unknown>;
const isLine = (value: unknown): value is Line => value !== null && typeof value === "object";
const shares = ["amax", "non_finite", "fp16_flush", "fp16_subnormal", "fp16_saturate", "bf16_flush"] as const;

/**
 * Whether a record is that of a watched step. Numbers that are not finite, which the file has as text, become numbers,
 * and lists that are missing become empty.
 */
export function isMonitorRecord(record: Line): record is Line & MonitorRecord {
  if (stepOf(record) === null) return false;
  record.scale = numberOf(record.scale) ?? 1;
  for (const side of ["forward", "gradient"]) {
    record[side] ??= [];
    if (!Array.isArray(record[side]) || !record[side].every(isModule)) return false;
  }
  record.updates ??= [];
  if (!Array.isArray(record.updates) || !record.updates.every(isUpdate)) return false;
  // What later versions added is left out where it is damaged.
  if (!isTexts(record.images)) delete record.images;
  if (!Array.isArray(record.forecasts) || !record.forecasts.every(isForecast)) delete record.forecasts;
  if (!isLine(record.memory) || !isNumbers(record.memory.kinds) || !isNumbers(record.memory.dtypes))
    delete record.memory;
  if (!isNumbers(record.written_bytes)) delete record.written_bytes;
  return true;
}

const isTexts = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === "string");
const isNumbers = (value: unknown): boolean =>
  isLine(value) && Object.values(value).every((entry) => typeof entry === "number");
const isForecast = (value: unknown): boolean =>
  isLine(value) &&
  typeof value.path === "string" &&
  isNumbers({ a: value.headroom, b: value.bits_per_step, c: value.steps });

function isModule(module: unknown): boolean {
  if (!isLine(module) || typeof module.path !== "string") return false;
  module.dtype = String(module.dtype ?? "");
  for (const name of shares) module[name] = numberOf(module[name]) ?? 0;
  // It is computed anew for files of every version.
  delete module.headroom;
  if (isLine(module.largest) && Array.isArray(module.largest.index))
    module.largest.value = numberOf(module.largest.value) ?? Number.NaN;
  else delete module.largest;
  const { exponents } = module;
  if (exponents === undefined) module.exponents = { first: 0, counts: [] };
  else if (!isLine(exponents) || !isExponent(exponents.first) || !isCounts(exponents.counts)) return false;
  return true;
}

/** Those of float64 lie between −1074 and 1023. */
const isExponent = (value: unknown): boolean => Number.isInteger(value) && Math.abs(value as number) <= 1100;
const isCounts = (value: unknown): boolean =>
  Array.isArray(value) && value.length <= 2200 && value.every((count) => typeof count === "number");

function isUpdate(update: unknown): boolean {
  if (!isLine(update) || typeof update.name !== "string") return false;
  update.ratio = numberOf(update.ratio) ?? Number.NaN;
  update.bf16_lost = numberOf(update.bf16_lost) ?? Number.NaN;
  return true;
}

/** Whether a record is the report of a fault. Lists that are missing become empty. */
export function isOverflowReport(record: Line): record is Line & OverflowReport {
  if (stepOf(record) === null || typeof record.phase !== "string") return false;
  record.scale = numberOf(record.scale) ?? 1;
  const lists = (names: readonly string[], isEntry: (entry: unknown) => boolean): boolean =>
    names.every((name) => {
      record[name] ??= [];
      return Array.isArray(record[name]) && record[name].every(isEntry);
    });
  record.output ??= null;
  if (!lists(["files", "readers", "advice"], (entry) => typeof entry === "string")) return false;
  if (!lists(["inputs", "weights"], isFacts) || !lists(["trail"], isTrail)) return false;
  return record.output === null || isFacts(record.output);
}

function isFacts(facts: unknown): boolean {
  if (!isLine(facts) || typeof facts.name !== "string" || !Array.isArray(facts.shape)) return false;
  for (const name of ["min", "max", "amax", "nan", "infinite"]) facts[name] = numberOf(facts[name]) ?? Number.NaN;
  return true;
}

function isTrail(entry: unknown): boolean {
  if (!isLine(entry) || typeof entry.path !== "string") return false;
  entry.amax = numberOf(entry.amax) ?? Number.NaN;
  return true;
}

/** Whether a record is a return to an earlier checkpoint. */
export function isRollback(record: Line): record is Line & RollbackRecord {
  record.lr_factor = numberOf(record.lr_factor) ?? 1;
  record.fault = textOf(record.fault);
  return stepOf(record) !== null && typeof record.to_step === "number";
}

/** Whether a record is a command that the run obeyed. */
export function isControl(record: Line): record is Line & ControlRecord {
  return stepOf(record) !== null && typeof record.command === "string";
}

/** Whether a record names the machines of the processes. */
export function isGroup(record: Line): record is Line & GroupRecord {
  return stepOf(record) !== null && isTexts(record.hosts) && record.hosts.length > 0;
}
