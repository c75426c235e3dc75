// Runs that a page looks into: readers that go on where they stopped, and hold no more of a long run than of a short.
import { lstatSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { RunReader, type RunRecord } from "../../report/records/run-record.js";
import { RunDirectoryError } from "../../support/errors.js";
import type { RunFolder } from "./run-folders.js";

/** Points of a curve, and watched steps in the microscope. */
const [points, watched] = [800, 96];
/** Bytes of a log that are read before other requests get their turn. */
const turn = 4 << 20;
/** Readers that are kept. One with watched steps of a large model holds some tens of megabytes. */
const [mostCurves, mostWatched] = [64, 4];

/** What a reader reads. */
const records = [
  ...["config.json", "summary.json", "metrics.csv", "numerics.jsonl", "evaluation.json", "evaluation-best.json"],
  ...["test.json", "lock", "pictures", "pictures/pictures.json"],
];

/** What a reader has read, and how often what it told was taken back or joined. */
export interface Reading {
  record: RunRecord;
  generation: number;
}

/** One run, followed. Requests that come together wait for the same reading. */
class Follower {
  readonly #reader: RunReader;
  #reading: Promise<RunRecord> | null = null;
  #shape = "";
  #generation = 0;

  constructor(folder: string, withWatched: boolean) {
    this.#reader = new RunReader(folder, withWatched ? { points: 2, watched } : { points, watched: 0 });
  }

  async read(): Promise<Reading> {
    this.#reading ??= this.#readOn().finally(() => {
      this.#reading = null;
    });
    const record = await this.#reading;
    return { record, generation: this.#generation };
  }

  async #readOn(): Promise<RunRecord> {
    let record = this.#reader.read(turn);
    for (let before = -1; record.numerics.steps !== before; record = this.#reader.read(turn)) {
      before = record.numerics.steps;
      await setImmediate();
    }
    const { points, watched, rollbacks, steps } = record.numerics;
    // A point or a watched step that is there already changes only when these do.
    const shape = `${points.width} ${watched[0]?.records} ${rollbacks.total}`;
    if (shape !== this.#shape || steps < this.#steps) this.#generation++;
    [this.#shape, this.#steps] = [shape, steps];
    return record;
  }
  #steps = 0;
}

/** The runs that were looked into last. */
export class OpenRuns {
  readonly #curves = new Map<string, Follower>();
  readonly #watched = new Map<string, Follower>();

  /** The small files of a run, its epochs and its steps. */
  async curves(run: RunFolder): Promise<Reading> {
    refuseLinks(run);
    return await followed(this.#curves, mostCurves, run, false).read();
  }

  /** The watched steps of a run. */
  async watched(run: RunFolder): Promise<Reading> {
    refuseLinks(run);
    return await followed(this.#watched, mostWatched, run, true).read();
  }
}

/** @throws RunDirectoryError where a record of the run is a link, which may lead out of the folder of the runs */
function refuseLinks({ path, name }: RunFolder): void {
  const link = records.find((file) => isLink(join(path, file)));
  if (link !== undefined)
    throw new RunDirectoryError(`Expected the records of the run ${name} in its folder but ${link} is a link`);
}

function isLink(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  } catch {
    // Where a file stands in the place of the folder, the reader says so.
    return false;
  }
}

function followed(open: Map<string, Follower>, most: number, run: RunFolder, withWatched: boolean): Follower {
  const follower = open.get(run.id) ?? new Follower(run.path, withWatched);
  // A map keeps the order in which its keys were set: the first is the one that was used least lately.
  open.delete(run.id);
  open.set(run.id, follower);
  for (const id of open.keys()) {
    if (open.size <= most) break;
    open.delete(id);
  }
  return follower;
}
