// A run as a row of the list: from its small files and the end of its log, so that fifty runs cost little.
import { closeSync, fstatSync, openSync, readFileSync, readSync, type Stats, statSync } from "node:fs";
import { mainColumns } from "../../eval/figures/main-columns.js";
import { metricsOf } from "../../report/records/metrics-table.js";
import { readLine, type StepLine } from "../../run/files/numerics/numerics-lines.js";
import type { ProgressRecord } from "../../run/files/numerics/numerics-records.js";
import { summaryOf } from "../../run/files/read-summary.js";
import type { RunSummary } from "../../run/files/run-directory.js";
import { holderOf } from "../../run/files/run-lock.js";
import { leftText, lossText, percentDone } from "../../run/transcript/progress-words.js";
import { largestOf } from "../../support/lists.js";
import type { RunRow, RunState } from "../wire.js";
import { ownFile, type RunFolder, type RunFolders } from "./run-folders.js";

/** Points of the small curve. */
const curvePoints = 48;
/** Bytes at the end of numerics.jsonl in which its last step is looked for: at first, and at most. */
const endBytes = { first: 1 << 16, most: 1 << 23 };

/** Milliseconds for which the rows of all runs are taken to be true. */
const fresh = 500;

const recordFiles = ["config.json", "summary.json", "metrics.csv", "numerics.jsonl", "evaluation.json"] as const;
type RecordFile = (typeof recordFiles)[number];

/** Makes the rows; what has not changed is not read again. */
export class RunRows {
  readonly #known = new Map<string, { stamp: string; row: RunRow }>();
  #all: readonly RunRow[] = [];
  #looked = Number.NEGATIVE_INFINITY;

  /** @param state of a run that a process holds */
  constructor(readonly liveState: (run: RunFolder) => "running" | "paused") {}

  /** The rows of all runs. Pages that ask within {@link fresh} share one look at the files. */
  all(folders: RunFolders): readonly RunRow[] {
    if (performance.now() - this.#looked > fresh) {
      this.#all = folders.list().map((run) => this.row(run));
      this.#looked = performance.now();
    }
    return this.#all;
  }

  /** The row of a run. */
  row(run: RunFolder): RunRow {
    const found = new Map<RecordFile, Stats>();
    for (const name of recordFiles) {
      const path = ownFile(run.path, name);
      const stats = path === null ? undefined : statSync(path, { throwIfNoEntry: false });
      if (stats !== undefined) found.set(name, stats);
    }
    const live = isHeld(run.path) ? this.liveState(run) : null;
    const stamp = [live, ...recordFiles.map((name) => `${found.get(name)?.size} ${found.get(name)?.mtimeMs}`)].join();
    const known = this.#known.get(run.id);
    if (known?.stamp === stamp) return known.row;
    const row = readRow(run, found, live);
    this.#known.set(run.id, { stamp, row });
    return row;
  }
}

function isHeld(folder: string): boolean {
  try {
    return ownFile(folder, "lock") !== null && holderOf(folder) !== null;
  } catch {
    return false;
  }
}

function readRow(run: RunFolder, found: ReadonlyMap<RecordFile, Stats>, live: RunState | null): RunRow {
  const config = jsonOf(run, "config.json");
  const settings = objectOf(config?.settings);
  const summary = summaryOf(jsonOf(run, "summary.json"));
  const { rows, columns } = metricsOf(textOf(run, "metrics.csv"));
  const main = mainColumns(columns);
  const curve = rows.map((row) => row[main.AP] ?? null);
  const [last, step] = [rows.at(-1), lastStep(run)];
  const epochs = plannedEpochs(settings, numberOf(config?.steps_per_epoch) ?? stepsPerEpoch(rows));
  const model = settings.model_name ?? settings.model;
  return {
    id: run.id,
    name: run.name,
    state: live ?? stateOf(summary?.stop_reason),
    model: typeof model === "string" ? model : null,
    precision: summary?.precision ?? (typeof config?.precision === "string" ? config.precision : null),
    epoch: Math.max(step?.epoch || 0, last?.epoch ?? 0),
    step: Math.max(step?.step ?? 0, last?.step ?? 0),
    ...(step?.progress
      ? whereItIs(step.step, step.progress)
      : { epochs, steps: null, share: epochs ? Math.min(1, (last?.epoch ?? 0) / epochs) : 0 }),
    now: live === null || step === null ? null : inWords(step, live, found.get("numerics.jsonl")?.mtime ?? new Date()),
    ...bestOf(
      rows.map(({ epoch }, i) => ({ epoch, value: curve[i] })),
      summary,
    ),
    ...(main.of === "" ? {} : { ofMasks: true as const }),
    curve: thinned(curve),
    skipped: step?.progress?.skipped_steps ?? Math.max(summary?.skipped_steps ?? 0, last?.skipped_steps ?? 0),
    started: summary?.started ?? (typeof config?.started === "string" ? config.started : null),
    written: largestOf(
      [...found.values()].map(({ mtimeMs }) => Math.round(mtimeMs)),
      0,
    ),
    error: live === null ? (summary?.error ?? null) : null,
    versions: {
      steps: found.get("numerics.jsonl")?.size ?? 0,
      epochs: found.get("metrics.csv")?.size ?? 0,
      evaluation: Math.round(found.get("evaluation.json")?.mtimeMs ?? 0),
    },
  };
}

const numberOf = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** Optimizer steps of an epoch by the first row, for a run that does not tell; null before there is one. */
function stepsPerEpoch([first]: readonly Record<string, number | null>[]): number | null {
  const { epoch, step } = first ?? {};
  return epoch && step ? step / epoch : null;
}

/** Epochs that the run has steps for, the last one perhaps in part; null where the end is not planned in epochs. */
function plannedEpochs(settings: Record<string, unknown>, steps: number | null): number | null {
  const [epochs, most] = [numberOf(settings.epochs), numberOf(settings.max_steps)];
  // The speed of the run tells its last step, and the files do not have that.
  if (numberOf(settings.time_budget) !== null) return null;
  if (epochs === null || most === null || !steps) return epochs;
  return Math.min(epochs, Math.ceil(most / steps));
}

/** Where a run is after a step, by its own plan. */
function whereItIs(
  step: number,
  { planned_epochs: epochs, total_steps: total }: ProgressRecord,
): Pick<RunRow, "epochs" | "steps" | "share"> {
  if (epochs === null) return { epochs, steps: null, share: 0 };
  return { epochs, steps: total, share: Math.min(1, step / Math.max(1, total)) };
}

/** @param at when the step was recorded */
function inWords({ loss, progress }: StepLine, state: RunState, at: Date): RunRow["now"] {
  if (progress === null) return null;
  const { step_in_epoch: step, steps_per_epoch: steps, seconds_left: seconds } = progress;
  // A run that is continued has not taken a step yet, or an evaluation takes longer than the one before.
  const isOver = at.getTime() + 1000 * seconds < Date.now();
  return {
    left: state === "paused" || isOver ? null : leftText(seconds, at),
    done: percentDone(Math.min(1, step / steps)),
    loss: lossText(loss),
  };
}

/** The best AP, and the first epoch that has it. */
function bestOf(
  curve: readonly { epoch: number | null; value: number | null }[],
  summary: RunSummary | null,
): Pick<RunRow, "best" | "bestEpoch"> {
  const known = curve.filter(({ value }) => value !== null && Number.isFinite(value));
  const [{ epoch, value: best }] = [
    ...known.sort((a, b) => Number(b.value) - Number(a.value)),
    { epoch: summary?.best_epoch ?? null, value: summary?.mask_AP ?? summary?.AP ?? null },
  ];
  return { best, bestEpoch: best === null || best === 0 ? null : epoch };
}

function stateOf(reason: string | undefined): RunState {
  if (reason === undefined) return "killed";
  return reason === "failed" || reason === "interrupted" ? reason : "finished";
}

function textOf(run: RunFolder, name: RecordFile): string {
  const path = ownFile(run.path, name);
  try {
    return path === null ? "" : readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** The object of a JSON file; null where it is missing, damaged or being written. */
function jsonOf(run: RunFolder, name: RecordFile): Record<string, unknown> | null {
  try {
    return objectOf(JSON.parse(textOf(run, name)));
  } catch {
    return null;
  }
}

const objectOf = (value: unknown): Record<string, unknown> =>
  value !== null && typeof value === "object" ? (value as Record<string, unknown>) : {};

/** The last step in the log; null where its end holds none. */
function lastStep(run: RunFolder): StepLine | null {
  const path = ownFile(run.path, "numerics.jsonl");
  if (path === null) return null;
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const most = Math.min(size, endBytes.most);
    // The line of a watched step, which stands behind that of the step, is as long as the model has modules.
    for (let length = Math.min(most, endBytes.first); ; length = Math.min(most, 8 * length)) {
      const bytes = Buffer.allocUnsafe(length);
      const step = lastStepIn(bytes.toString("utf8", 0, readSync(file, bytes, 0, length, size - length)));
      if (step !== null || length === most) return step;
    }
  } finally {
    closeSync(file);
  }
}

/** The last whole line of a text that is a step. */
function lastStepIn(text: string): StepLine | null {
  for (const line of text.split("\n").slice(0, -1).reverse()) {
    const record = line.startsWith('{"v":1,"kind":"step",') ? readLine(line) : null;
    if (record?.kind === "step") return record;
  }
  return null;
}

/** At most {@link curvePoints} values, the last among them. */
function thinned(values: readonly (number | null)[]): (number | null)[] {
  const stride = Math.ceil(values.length / curvePoints);
  const brief = (value: number | null): number | null =>
    value === null || !Number.isFinite(value) ? null : Number(value.toFixed(4));
  return values.filter((_, i) => (values.length - 1 - i) % Math.max(1, stride) === 0).map(brief);
}
