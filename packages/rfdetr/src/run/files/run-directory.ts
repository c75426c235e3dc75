// The folder of a run: how its files are named, written and continued, and that no run overwrites another.
import { appendFileSync, existsSync, readdirSync, readFileSync, statSync, truncateSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { CheckpointError, RunDirectoryError } from "../../support/errors.js";
import {
  isPartial,
  makeFolder,
  previousSuffix,
  recoverFolder,
  removeEmpty,
  removePartial,
  replaceText,
  writeFailure,
} from "../../support/files/atomic.js";
import { readJson } from "../../support/files/json.js";
import { absence, hidden } from "../../support/files/near-path.js";
import { discard } from "../../support/files/scratch.js";
import { shellWord } from "../../support/format.js";
import { tryToWrite } from "./folder-checks.js";
import { keepRanges, linesOf, type Range, useOwnLineBreaks } from "./log-file.js";
import { lockName, RunLock } from "./run-lock.js";

/** Versions of what computes a run. */
export interface RunVersions {
  rfdetr: string;
  node: string;
  libtorch: string;
}

/** The content of `summary.json`. */
export interface RunSummary {
  AP: number | null;
  AP50: number | null;
  /** Figures of the masks of the best weights; absent where the model has no masks. */
  mask_AP?: number | null;
  mask_AP50?: number | null;
  precision: string;
  reason: string;
  epochs: number;
  steps: number;
  skipped_steps: number;
  /** Images that did not decode and were left out. */
  bad_images: number;
  train_seconds: number;
  /** Processes that trained it, or its last part if it was continued. */
  processes: number;
  /** Memory of rank 0, of several processes. */
  peak_rss_bytes: number;
  stop_reason: "finished" | "max_steps" | "time_budget" | "early_stopping" | "callback" | "interrupted" | "failed";
  /** Which callback ended the run and why, as `NAME: reason`; absent for every other end. */
  stop_message?: string;
  /** The epoch of the best weights, counted from 1; null without any. */
  best_epoch: number | null;
  /** What a failed run failed with; null for every other end. */
  error: string | null;
  /** When the run was first started, ISO 8601; null for runs of versions that did not record it. */
  started: string | null;
  /** Versions that the run ended with; null for runs of versions that did not record them. */
  versions: RunVersions | null;
}

/** The folder of one run. */
export class RunDirectory {
  #lock: RunLock | null = null;
  /** The folders that were made for a new run, the deepest first. */
  #made: string[] = [];
  /** Whether the last checkpoint was missing and the one before took its place. */
  recovered = false;

  private constructor(readonly path: string) {}

  /**
   * Creates the folder of a new run and takes it: `wanted`, or the first free of `runs/NAME`, `runs/NAME-2`, ….
   * @throws RunDirectoryError when `wanted` exists and is not empty, or cannot be made.
   */
  static create(wanted: string | null, name: string): RunDirectory {
    for (let n = 1; ; n++) {
      const path = resolve(wanted ?? join("runs", n === 1 ? name : `${name}-${n}`));
      const run = new RunDirectory(path);
      if (!occupied(path) && run.#takeEmpty(wanted !== null)) return run;
      if (wanted !== null)
        throw new RunDirectoryError(`The run folder ${path} exists and is not empty`, {
          hint: existsSync(join(path, "config.json"))
            ? `Continue it with \`resume\` ${shellWord(wanted)}, or choose another folder with \`output_dir\``
            : "Choose another folder with `output_dir`",
        });
    }
  }

  /** @returns whether the folder is this process's and still empty */
  #takeEmpty(wanted: boolean): boolean {
    this.#made = makeFolder(this.path);
    try {
      this.#lock = RunLock.acquire(this.path);
    } catch (error) {
      this.giveUp();
      if (wanted || !(error instanceof RunDirectoryError)) throw error;
      return false;
    }
    try {
      if (!occupied(this.path)) {
        this.#made.unshift(...makeFolder(join(this.path, "weights")));
        return true;
      }
    } catch (error) {
      this.giveUp();
      throw error;
    }
    this.release();
    return false;
  }

  /** The folder of a run, to look at: it may be in progress. @throws RunDirectoryError when it is not that of a run */
  static at(path: string): RunDirectory {
    const folder = resolve(path);
    if (!existsSync(folder) || hidden(folder) !== null)
      throw new RunDirectoryError(`Expected the folder of a run to continue but ${folder} ${absence(folder)}`);
    if (existsSync(join(folder, "config.json"))) return new RunDirectory(folder);
    const run = [dirname(folder), dirname(dirname(folder))].find((above) => existsSync(join(above, "config.json")));
    if (run !== undefined)
      throw new RunDirectoryError(`Expected the folder of a run to continue but ${folder} is a part of one`, {
        hint: `Continue the run with \`resume\` ${shellWord(run)}`,
      });
    throw new RunDirectoryError(`Expected the folder of a run to continue but ${folder} has no config.json`, {
      // A kill may come before anything is written.
      ...(statSync(folder).isDirectory() && !occupied(folder)
        ? { hint: "Nothing was begun in it: start the run again, with this folder as `output_dir`" }
        : {}),
    });
  }

  /**
   * Takes the folder of a run to continue it, then puts right what a kill left.
   * @throws RunDirectoryError when it is none, or while another process holds it
   */
  static open(path: string): RunDirectory {
    const run = RunDirectory.at(path);
    run.#lock = RunLock.acquire(run.path);
    try {
      run.recovered = recoverFolder(run.checkpoint);
      removePartial(run.path);
      makeFolder(join(run.path, "weights"));
      removePartial(join(run.path, "weights"));
      for (const file of [run.last, join(run.checkpoint, "tried")]) tryToWrite(file);
      return run;
    } catch (error) {
      run.release();
      throw writeFailure(run.checkpoint, error);
    }
  }

  /** Gives up a new run that could not begin, and removes those of the folders made for it that are empty. */
  giveUp(): void {
    this.release();
    removeEmpty(this.#made);
  }

  /** Gives the run free for other processes. */
  release(): void {
    this.#lock?.release();
    this.#lock = null;
  }

  /**
   * Whether there is a checkpoint to continue from. A run that was killed before its first has none.
   * @throws CheckpointError where there are weights: then there was a checkpoint
   */
  hasCheckpoint(): boolean {
    if (existsSync(this.checkpoint)) return true;
    if (this.weights === null) return false;
    throw new CheckpointError(`The run ${this.path} has no checkpoint any more, only weights`, {
      hint: `Start a new run from them with \`weights\` ${this.weights}`,
    });
  }

  /** Removes the checkpoint before the last; one that cannot be removed stays. */
  removePreviousCheckpoint(): void {
    discard(this.checkpoint + previousSuffix);
  }

  /** Weights that the run has written; null where there are none. */
  get weights(): string | null {
    return [this.last, this.best].find((file) => existsSync(file)) ?? null;
  }

  get checkpoint(): string {
    return join(this.path, "checkpoint");
  }
  get best(): string {
    return join(this.path, "weights", "best.safetensors");
  }
  get last(): string {
    return join(this.path, "weights", "last.safetensors");
  }
  weightsOfEpoch(epoch: number): string {
    return join(this.path, "weights", `epoch-${String(epoch).padStart(4, "0")}.safetensors`);
  }
  file(name: string): string {
    return join(this.path, name);
  }

  /** Writes a file at once, never in part. */
  writeJson(name: string, value: unknown): void {
    replaceText(this.file(name), `${JSON.stringify(value, null, 2)}\n`);
  }

  readJson(name: string): unknown {
    return readJson(this.file(name), (message, cause) => new RunDirectoryError(message, { cause }));
  }

  /**
   * Appends a row to a CSV file. Its columns are those of the header that is there, and after them what the row has
   * more; a file without a header gets one.
   */
  appendRow(name: string, row: Readonly<Record<string, number | string | null>>): void {
    const path = this.file(name);
    const keys = Object.keys(row);
    const lines = existsSync(path) ? readFileSync(path, "utf8").split("\n").slice(0, -1) : [];
    const headed = lines[0]?.startsWith(`${keys[0]},`);
    const before = headed ? lines[0].split(",") : keys;
    const columns = [...before, ...keys.filter((key) => !before.includes(key))];
    if (!headed || columns.length > before.length) {
      const more = ",".repeat(columns.length - before.length);
      const rows = (headed ? lines.slice(1) : lines).map((line) => line + more);
      replaceText(path, [columns.join(","), ...rows].map((line) => `${line}\n`).join(""));
    }
    this.append(name, `${columns.map((column) => csvField(row[column] ?? null)).join(",")}\n`);
  }

  /**
   * Drops lines of a file, if it exists, and what a kill cut off after the last line break.
   * @param judge what to do with a line; null for one that is too long to be a record
   * @returns the number of damaged lines
   */
  keepLines(name: string, judge: (line: string | null, index: number) => "keep" | "drop" | "damaged"): number {
    const path = this.file(name);
    if (!existsSync(path)) return 0;
    try {
      useOwnLineBreaks(path);
      const kept: Range[] = [];
      let damaged = 0;
      let index = 0;
      for (const { text, range } of linesOf(path)) {
        const verdict = judge(text, index++);
        if (verdict === "keep") kept.push(range);
        else if (verdict === "damaged") damaged++;
      }
      keepRanges(path, kept);
      return damaged;
    } catch (error) {
      throw writeFailure(path, error);
    }
  }

  /**
   * Appends to a file. It is not flushed: a kill loses at most the last lines, which a resumed run writes again. Where
   * not all of the text can be written, none is.
   * @throws RunDirectoryError
   */
  append(name: string, text: string): void {
    const path = this.file(name);
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    try {
      appendFileSync(path, text);
    } catch (error) {
      try {
        truncateSync(path, size);
      } catch {
        // What was written in part is a damaged line, which readers pass over.
      }
      throw writeFailure(path, error);
    }
  }
}

/** Whether a folder holds anything but what a run leaves that is killed before it wrote its configuration. */
function occupied(path: string): boolean {
  try {
    return readdirSync(path).some(
      (name) =>
        name !== lockName && !isPartial(name) && (name !== "weights" || readdirSync(join(path, name)).length > 0),
    );
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT") return false;
    if (code === "ENOTDIR")
      throw new RunDirectoryError(`Expected a folder for the run but ${path}, or a part of it, is a file`);
    throw writeFailure(path, error);
  }
}

function csvField(value: number | string | null): string {
  if (value === null) return "";
  if (typeof value === "number") return String(Number.isInteger(value) ? value : Number(value.toPrecision(7)));
  return /[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value;
}
