// Reads the numerics.jsonl of a run piece by piece, also while it grows, in little memory.
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { linesOf } from "../../run/files/log-file.js";
import { readLine, type StepLine } from "../../run/files/numerics/numerics-lines.js";
import type {
  ControlRecord,
  HeaderRecord,
  MonitorRecord,
  RollbackRecord,
} from "../../run/files/numerics/numerics-records.js";
import { reasonOf } from "../../support/files/system-error.js";
import type { PeakMemory } from "../../train/measure/memory-peak.js";
import type { OverflowReport } from "../../train/measure/overflow-report.js";
import { FirstAndLast } from "./first-and-last.js";
import type { NumericsRecord, SeenForecast, SkippedRun, StepProgress } from "./numerics-record.js";
import { RankCollector } from "./ranks.js";
import { PointCollector } from "./step-points.js";
import { WatchedCollector } from "./watched-spans.js";

const file = "numerics.jsonl";

/** How much a reader keeps. */
export interface ReadOptions {
  /** Points that the steps are thinned to, at most; default 600. */
  points?: number;
  /** Watched steps that are kept, at most; neighbours are joined. 0 does not read them; default 64. */
  watched?: number;
}

/** Overflows that are remembered as foreseen. */
const mostForecasts = 200;

/** Bytes before the place read up to that are compared, to tell a file that was replaced from one that grew. */
const compared = 128;

/** Everything that was collected since the start of the file. */
class Collected {
  header: HeaderRecord | null = null;
  steps = 0;
  skipped = 0;
  lastStep = 0;
  progress: StepProgress | null = null;
  damagedLines = 0;
  firstDamaged = 0;
  /** Lines whose bytes of memory are none. */
  lackingMemory = 0;
  firstLackingMemory = 0;
  lines = 0;
  open: SkippedRun | null = null;
  scale: number | null = null;
  peak: PeakMemory | null = null;
  readonly points: PointCollector;
  readonly watched: WatchedCollector | null;
  readonly skippedRuns = new FirstAndLast<SkippedRun>(200);
  readonly scaleChanges = new FirstAndLast<{ step: number; scale: number }>(1000);
  readonly overflows = new FirstAndLast<OverflowReport>(100);
  readonly rollbacks = new FirstAndLast<RollbackRecord>(100);
  readonly controls = new FirstAndLast<ControlRecord>(100);
  readonly forecasts = new Map<string, SeenForecast>();
  readonly ranks = new RankCollector();

  constructor({ points = 600, watched = 64 }: ReadOptions) {
    this.points = new PointCollector(points);
    this.watched = watched === 0 ? null : new WatchedCollector(watched);
  }

  /** @param text null for a line that is too long to be a record */
  add(text: string | null): void {
    this.lines++;
    if (text !== null && text.trim() === "") return;
    // Watched steps are by far the longest lines.
    if (this.watched === null && text?.startsWith('{"v":1,"kind":"monitor"')) return;
    if (this.#take(text)) return;
    this.damagedLines++;
    if (this.firstDamaged === 0) this.firstDamaged = this.lines;
  }

  #take(text: string | null): boolean {
    const line = readLine(text);
    switch (line?.kind) {
      case undefined:
        return false;
      case "header":
        this.header = line;
        break;
      case "step":
        this.#step(line);
        if (line.lacksMemory && this.lackingMemory++ === 0) this.firstLackingMemory = this.lines;
        break;
      case "monitor":
        this.#monitor(line);
        break;
      case "overflow":
        this.overflows.add(line);
        break;
      case "rollback":
        this.rollbacks.add(line);
        break;
      case "control":
        this.controls.add(line);
        break;
      case "group":
        this.ranks.group(line);
    }
    return true;
  }

  #monitor(record: MonitorRecord): void {
    this.watched?.add(record, this.open?.last === record.step);
    const { memory } = record;
    // The first step is watched itself, and needs more than those after it.
    const least = this.peak === null || this.peak.step === 1 ? 0 : this.peak.bytes;
    if (memory !== null && memory.bytes > least) this.peak = memory;
    for (const forecast of record.forecasts) {
      const key = `${forecast.side} ${forecast.path}`;
      const first = this.forecasts.get(key)?.first ?? record.step;
      if (this.forecasts.has(key) || this.forecasts.size < mostForecasts)
        this.forecasts.set(key, { ...forecast, first, last: record.step });
    }
  }

  #step(step: StepLine): void {
    this.steps++;
    this.lastStep = step.step;
    this.progress = step.progress && { epoch: step.epoch, ...step.progress };
    if (step.skipped) this.skipped++;
    this.points.add(step.step, step.skipped, step.figures);
    if (step.ranks !== null) this.ranks.add(step.step, step.ranks, step);
    if (step.scale !== this.scale) this.scaleChanges.add({ step: step.step, scale: step.scale });
    this.scale = step.scale;
    if (!step.skipped) {
      if (this.open !== null) this.open.next = { step: step.step, scale: step.scale };
      this.open = null;
    } else if (this.open !== null && step.step > this.open.last) {
      this.open.last = step.step;
      this.open.steps++;
    } else {
      const { scale, fault, bad_parameter, bad_module } = step;
      this.open = {
        first: step.step,
        last: step.step,
        steps: 1,
        scale,
        fault,
        bad_parameter,
        bad_module,
        next: null,
      };
      this.skippedRuns.add(this.open);
    }
  }
}

/**
 * Follows the numerics.jsonl of a run. Each {@link NumericsReader.read} goes on where the last one stopped. Where the
 * file was cut or replaced, as a resumed run does, it is read again from its start. What a reader holds does not grow
 * with the file.
 * @example
 * import { NumericsReader } from "rfdetr/report";
 * const reader = new NumericsReader("runs/birds", { points: 300 });
 * while (reader.read(8 << 20).more);
 * console.log(reader.record().points.courses.loss?.max);
 */
export class NumericsReader {
  readonly #path: string;
  readonly #options: ReadOptions;
  #collected: Collected;
  #offset = 0;
  #inode = 0;
  #tail: Buffer = Buffer.alloc(0);
  #failure: string | null = null;

  /** @param run its folder, or a numerics.jsonl */
  constructor(run: string, options: ReadOptions = {}) {
    this.#path = statSync(run, { throwIfNoEntry: false })?.isFile() ? run : join(run, file);
    this.#options = options;
    this.#collected = new Collected(options);
  }

  /**
   * Reads on.
   * @param limit bytes after which it stops, at the end of a line
   * @returns whether something new was read, and whether there is more
   */
  read(limit = Number.POSITIVE_INFINITY): { changed: boolean; more: boolean } {
    try {
      this.#failure = null;
      return this.#readOn(limit);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") this.#failure = reasonOf(error);
      const changed = this.#offset > 0;
      this.#restart(0);
      return { changed, more: false };
    }
  }

  /** What was read up to now. */
  record(): NumericsRecord {
    const { header, steps, skipped, lastStep, progress, damagedLines, firstDamaged } = this.#collected;
    const { points, watched, skippedRuns, scaleChanges, overflows, rollbacks, controls, forecasts } = this.#collected;
    const faults: string[] = [];
    if (this.#failure !== null) faults.push(`${file} cannot be read: ${this.#failure}`);
    if (damagedLines === 1) faults.push(`Line ${firstDamaged} of ${file} is damaged and was left out`);
    else if (damagedLines > 1)
      faults.push(
        `${damagedLines} lines of ${file} are damaged and were left out, the first of them line ${firstDamaged}`,
      );
    const { lackingMemory, firstLackingMemory } = this.#collected;
    if (lackingMemory === 1)
      faults.push(`Line ${firstLackingMemory} of ${file} has bytes of memory that are none: they are left out`);
    else if (lackingMemory > 1)
      faults.push(
        `${lackingMemory} lines of ${file} have bytes of memory that are none, the first of them line ${firstLackingMemory}: they are left out`,
      );
    return {
      header,
      steps,
      skipped,
      lastStep,
      progress,
      points: points.points(),
      damagedLines,
      faults,
      watched: watched?.spans() ?? [],
      latest: watched?.latest ?? null,
      peak: this.#collected.peak,
      skippedRuns: skippedRuns.excerpt(),
      scaleChanges: scaleChanges.excerpt(),
      overflows: overflows.excerpt(),
      rollbacks: rollbacks.excerpt(),
      controls: controls.excerpt(),
      forecasts: [...forecasts.values()],
      ranks: this.#collected.ranks.summary(),
    };
  }

  #readOn(limit: number): { changed: boolean; more: boolean } {
    const { size, ino } = statSync(this.#path);
    const same = ino === this.#inode && size >= this.#offset && this.#tail.equals(this.#before(this.#offset));
    if (!same) this.#restart(ino);
    if (size === this.#offset) return { changed: !same, more: false };
    const start = this.#offset;
    let more = false;
    for (const { range, text } of linesOf(this.#path, start)) {
      this.#collected.add(text);
      this.#offset = range[1];
      more = this.#offset - start >= limit;
      if (more) break;
    }
    this.#tail = this.#before(this.#offset);
    return { changed: !same || this.#offset > start, more };
  }

  #restart(inode: number): void {
    this.#collected = new Collected(this.#options);
    this.#offset = 0;
    this.#inode = inode;
    this.#tail = Buffer.alloc(0);
  }

  /** The bytes before a place in the file. */
  #before(offset: number): Buffer {
    const bytes = Buffer.alloc(Math.min(compared, offset));
    if (offset === 0) return bytes;
    const from = openSync(this.#path, "r");
    try {
      return bytes.subarray(0, readSync(from, bytes, 0, bytes.length, offset - bytes.length));
    } finally {
      closeSync(from);
    }
  }
}
