// The folder of a run: how its files are named, written and continued, and that no run overwrites another.
import { appendFileSync, existsSync, readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { makeFolder, recoverFolder, removePartial, replaceText, writeFailure } from "../../support/atomic.js";
import { CheckpointError, RunDirectoryError } from "../../support/errors.js";
import { readJson } from "../../support/json.js";

/** The content of `summary.json`. */
export interface RunSummary {
  AP: number | null;
  AP50: number | null;
  precision: string;
  reason: string;
  epochs: number;
  steps: number;
  skipped_steps: number;
  train_seconds: number;
  peak_rss_bytes: number;
  stop_reason: "finished" | "max_steps" | "early_stopping" | "interrupted" | "failed";
}

/** The folder of one run. */
export class RunDirectory {
  private constructor(readonly path: string) {}

  /**
   * Creates the folder of a new run: `wanted`, or the first free of `runs/NAME`, `runs/NAME-2`, ….
   * @throws RunDirectoryError when `wanted` exists and is not empty, or cannot be made.
   */
  static create(wanted: string | null, name: string): RunDirectory {
    let path = resolve(wanted ?? join("runs", name));
    for (let n = 2; wanted === null && occupied(path); n++) path = resolve(join("runs", `${name}-${n}`));
    if (occupied(path))
      throw new RunDirectoryError(`The run folder ${path} exists and is not empty`, {
        hint: `Continue it with \`resume\` ${wanted}, or choose another folder with \`output_dir\``,
      });
    makeFolder(join(path, "weights"));
    return new RunDirectory(path);
  }

  /**
   * Opens the folder of a run to continue it, after putting right what a kill left. @throws RfdetrError when it is
   * none, or never reached its first checkpoint.
   */
  static open(path: string): RunDirectory {
    const folder = resolve(path);
    if (!existsSync(join(folder, "config.json")))
      throw new RunDirectoryError(`Expected the folder of a run to continue but ${folder} has no config.json`);
    const run = new RunDirectory(folder);
    try {
      recoverFolder(run.checkpoint);
      removePartial(folder);
    } catch (error) {
      throw writeFailure(run.checkpoint, error);
    }
    if (!existsSync(run.checkpoint))
      throw new CheckpointError(
        `The run ${folder} ended before its first checkpoint: start it again in another folder`,
      );
    return run;
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

  /** Appends a row to a CSV file, after a header line if the file is new. */
  appendRow(name: string, row: Readonly<Record<string, number | string | null>>): void {
    const header = existsSync(this.file(name)) ? "" : `${Object.keys(row).join(",")}\n`;
    this.append(name, `${header}${Object.values(row).map(csvField).join(",")}\n`);
  }

  /** Keeps the lines of a file that are wanted, if it exists. A last line that a kill cut off is dropped. */
  keepLines(name: string, wanted: (line: string, index: number) => boolean): void {
    const path = this.file(name);
    if (!existsSync(path)) return;
    const text = readFileSync(path, "utf8");
    // A kill cut off what follows the last line break.
    const lines = text.split("\n").slice(0, -1);
    const kept = lines.filter(wanted);
    if (kept.length < lines.length || !text.endsWith("\n")) replaceText(path, kept.map((line) => `${line}\n`).join(""));
  }

  /**
   * Appends to a file. It is not flushed: a kill loses at most the last lines, which a resumed run writes again.
   * @throws RfdetrError
   */
  append(name: string, text: string): void {
    try {
      appendFileSync(this.file(name), text);
    } catch (error) {
      throw writeFailure(this.file(name), error);
    }
  }
}

function occupied(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
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
