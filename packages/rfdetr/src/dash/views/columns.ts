// What a reader holds, as the columns that a page lacks.
import type { ModuleRecord } from "@rfdetr/amp";
import type { MetricsTable } from "../../report/records/metrics-table.js";
import type { WatchedSpan } from "../../report/records/watched-spans.js";
import type { Reading } from "../runs/open-run.js";
import {
  type EpochColumns,
  type Fault,
  notFinite,
  type SideSeries,
  type StepColumns,
  type WatchedSteps,
} from "../wire.js";
import type { NamedImages } from "./images.js";

/** Five digits are more than a chart shows; JSON has no number that is not finite. */
export const brief = (value: number | null | undefined): number | null =>
  value === null || value === undefined || !Number.isFinite(value) ? null : Number(value.toPrecision(5));

/** The rows of metrics.csv from `from` on. */
export function epochColumns({ columns, rows }: MetricsTable, from: number): EpochColumns {
  const start = Math.min(Math.max(0, from), rows.length);
  const sent = rows.slice(start);
  return {
    rows: rows.length,
    from: start,
    columns: Object.fromEntries(columns.map((name) => [name, sent.map((row) => brief(row[name]))])),
  };
}

/** The points that a page lacks which has `count` of a generation. Its last one may have grown since. */
export function stepColumns({ record, generation }: Reading, has: { generation: number; count: number }): StepColumns {
  const { points } = record.numerics;
  const from = firstLacking(generation, points.last.length, has);
  const column = (name: string, kind: "mean" | "min" | "max" | "last"): (number | null)[] =>
    (points.courses[name]?.[kind].slice(from) ?? points.last.slice(from).map(() => null)).map(brief);
  return {
    generation,
    size: points.width,
    from,
    step: points.last.slice(from),
    loss: column("loss", "mean"),
    lossMin: column("loss", "min"),
    lossMax: column("loss", "max"),
    gradNorm: column("grad_norm", "mean"),
    lr: column("lr", "last"),
    scale: column("scale", "last"),
    seconds: column("seconds", "mean"),
    skipped: points.skipped.slice(from),
    peakBytes: column("memory.peak_bytes", "max"),
  };
}

function firstLacking(generation: number, length: number, has: { generation: number; count: number }): number {
  return generation === has.generation && has.count <= length ? Math.max(0, has.count - 1) : 0;
}

/** The watched steps that a page lacks which has `count` of a generation, made of `records`. */
export function watchedSteps(
  { record, generation }: Reading,
  has: { generation: number; count: number; records: number },
  names: NamedImages,
): WatchedSteps {
  const { watched, latest, header } = record.numerics;
  const records = watched.reduce((sum, span) => sum + span.records, 0);
  const isKnown = generation === has.generation && records === has.records;
  const from = isKnown ? watched.length : firstLacking(generation, watched.length, has);
  const spans = watched.slice(from);
  const paths = new Set(spans.flatMap(({ forward, gradient }) => [...forward, ...gradient].map(({ path }) => path)));
  const [forward, gradient] = [bySpan(spans, "forward"), bySpan(spans, "gradient")];
  return {
    generation,
    records,
    from,
    steps: spans.map(({ last }) => last),
    scale: spans.map(({ scale }) => scale),
    modules: [...paths].map((path) => ({ path, forward: seriesOf(forward, path), gradient: seriesOf(gradient, path) })),
    faults: faultsOf(record.numerics, names),
    forecasts: (latest?.forecasts ?? []).map(({ path, side, dtype, headroom, bits_per_step, steps, basis }) => ({
      path,
      side,
      dtype,
      headroom,
      bitsPerStep: bits_per_step,
      steps,
      basis: { first: basis.first, records: basis.records },
    })),
    header:
      header === null
        ? null
        : {
            precision: header.precision,
            reason: header.reason,
            overrides: header.overrides,
            interval: header.monitor_interval,
          },
  };
}

/** What happened to the numerics of a run, in the order of the steps: overflows, rollbacks and commands. */
function faultsOf({ overflows, rollbacks, controls }: Reading["record"]["numerics"], names: NamedImages): Fault[] {
  const faults: Fault[] = [
    ...overflows.entries.map(({ step, module, operator, phase, scale, files, advice }) => ({
      kind: "overflow" as const,
      step,
      module,
      operator,
      phase,
      scale,
      advice,
      images: files.map((file) => ({ file, image: names.name(file) })),
    })),
    ...rollbacks.entries.map(({ step, to_step, fault }) => ({
      kind: "rollback" as const,
      step,
      ...nothing,
      advice: [`The run went back to step ${to_step}${fault === null ? "" : `: ${fault}`}`],
    })),
    ...controls.entries.map(({ step, command, pattern, rule, by }) => ({
      kind: "control" as const,
      step,
      ...nothing,
      advice: [
        `${command === "override" ? `From the next step on, the rule of ${pattern} is ${rule}` : (said[command] ?? command)}, ${askedBy[by] ?? "as it was asked"}`,
      ],
    })),
  ];
  return faults.sort((a, b) => a.step - b.step);
}

const nothing = { module: null, operator: null, phase: null, scale: null, images: [] };

/** What a run did when it was asked. */
const said: Readonly<Record<string, string>> = {
  pause: "The run paused",
  "go-on": "The run went on",
  stop: "The run stopped",
  undo: "The last override was taken back",
  lr: "The learning rate was changed",
};
const askedBy: Readonly<Record<string, string>> = {
  settings: "by precision_changes of the settings",
  callback: "by a callback",
};

const bySpan = (spans: readonly WatchedSpan[], side: "forward" | "gradient"): Map<string, ModuleRecord>[] =>
  spans.map((span) => new Map(span[side].map((module) => [module.path, module])));

function seriesOf(spans: readonly Map<string, ModuleRecord>[], path: string): SideSeries | null {
  const seen = spans.map((modules) => modules.get(path));
  const last = seen.findLast((module) => module !== undefined);
  if (last === undefined) return null;
  return {
    dtype: last.dtype,
    letters: seen.map((module) => (module === undefined ? "-" : letterOf(module))).join(""),
    top: seen.map((module) => (module === undefined ? null : topOf(module))),
    flushed: seen.map((module) => Math.round(1000 * (module === undefined ? 0 : flushedOf(module)))),
    flushed16: seen.map((module) => Number((1000 * (module?.fp16_flush ?? 0)).toPrecision(4))),
  };
}

/** log2 of the largest absolute value in sixteenths. */
function topOf({ amax, non_finite }: ModuleRecord): number | null {
  if (non_finite > 0 || !Number.isFinite(amax)) return notFinite;
  return amax === 0 ? null : Math.round(16 * Math.log2(amax));
}

/** The dtype of the largest value. */
function letterOf({ largest: { dtype } }: ModuleRecord): string {
  if (dtype === "float16") return "h";
  return dtype === "bfloat16" ? "b" : "f";
}

/** The share of values that the dtype rounds to zero. */
function flushedOf({ dtype, fp16_flush, bf16_flush }: ModuleRecord): number {
  return dtype.split(" ").includes("float16") ? fp16_flush : bf16_flush;
}
