// Reads the folder of a run: the one reader for the report, the live page and programs. It may still be written.
import { existsSync, readFileSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import { z } from "zod";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import { readDetails } from "../../eval/details/details-file.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { type PictureEntry, readIndex } from "../../pictures/picture-index.js";
import { summaryOf } from "../../run/files/read-summary.js";
import type { RunSummary } from "../../run/files/run-directory.js";
import { holderOf } from "../../run/files/run-lock.js";
import { RunDirectoryError } from "../../support/errors.js";
import { readJson } from "../../support/files/json.js";
import { absence, hidden } from "../../support/files/near-path.js";
import { fraction, schemaFault } from "../../support/files/schema-fault.js";
import { reasonOf } from "../../support/files/system-error.js";
import { type MetricsTable, metricsOf } from "./metrics-table.js";
import { NumericsReader, type ReadOptions } from "./numerics-reader.js";
import type { NumericsRecord } from "./numerics-record.js";

const alike = z.looseObject({ sha256: z.string(), box: z.array(z.number()) });
const split = z.looseObject({
  images: z.number(),
  objects: z.number(),
  sha256: z.string().optional(),
  alike: alike.optional(),
});
const configSchema = z.looseObject({
  started: z.string().optional(),
  settings: z.record(z.string(), z.unknown()),
  seed: z.number().optional(),
  class_names: z.array(z.string()).default([]),
  model_config: z.record(z.string(), z.unknown()).default({}),
  precision: z.string().optional(),
  reason: z.string().optional(),
  hardware: z.string().optional(),
  versions: z.record(z.string(), z.string()).default({}),
  data: z.looseObject({ path: z.string(), train: split, valid: split }).optional(),
  changes: z
    .array(
      z.looseObject({
        at: z.string(),
        step: z.number(),
        settings: z.record(z.string(), z.array(z.unknown())).default({}),
        data: z.array(z.string()).default([]),
      }),
    )
    .default([]),
});

/** `config.json` of a run of any version. */
export type ReadConfig = z.infer<typeof configSchema>;

/** Everything that the folder of a run tells. What is missing or damaged is null or empty, and `faults` says so. */
export interface RunRecord {
  /** Absolute. */
  folder: string;
  /** The name of the folder. */
  name: string;
  /**
   * - `running`: a process holds it.
   * - `ended`: it wrote how it ended.
   * - `broken off`: neither; its process was killed, or the run was copied from a machine where it still runs.
   */
  state: "running" | "ended" | "broken off";
  config: ReadConfig | null;
  /** How the run ended; of a run that was continued, how it ended before, until it ends again. */
  summary: RunSummary | null;
  /** A row for each epoch. */
  metrics: MetricsTable;
  numerics: NumericsRecord;
  /** The figures of the last evaluation. */
  evaluation: CocoSummary | null;
  /** What explains them; null for runs of versions that wrote the figures alone. */
  details: EvaluationDetails | null;
  /** The evaluation of the best weights, with what explains it; null for runs that did not keep it. */
  bestDetails: EvaluationDetails | null;
  /** The figures of the best weights on the test split. */
  test: CocoSummary | null;
  pictures: PictureEntry[];
  /** What is damaged or cannot be read, in words. */
  faults: string[];
}

/** Files of which a folder that is a run's has at least one. */
const ownFiles = ["config.json", "metrics.csv", "numerics.jsonl", "summary.json"];

/**
 * Follows the folder of a run. Each {@link RunReader.read} reads what is new: of numerics.jsonl what was added, of the
 * other files those that changed.
 * @example
 * import { RunReader } from "rfdetr/report";
 * const reader = new RunReader("runs/birds");
 * setInterval(() => console.log(reader.read().numerics.lastStep), 2000);
 */
export class RunReader {
  /** Absolute. */
  readonly folder: string;
  readonly #numerics: NumericsReader;
  readonly #read = new Map<string, { stamp: string; value: unknown; fault: string | null }>();

  /** @throws RunDirectoryError for a folder that is not that of a run */
  constructor(folder: string, options: ReadOptions = {}) {
    this.folder = resolve(folder);
    checkFolder(this.folder);
    this.#numerics = new NumericsReader(this.folder, options);
  }

  /**
   * @param limit bytes of numerics.jsonl that are read at most; the next call goes on
   * @throws never for files that are damaged, missing or being written: `faults` names them
   */
  read(limit?: number): RunRecord {
    this.#numerics.read(limit);
    const numerics = this.#numerics.record();
    const faults: string[] = [];
    const json = <T>(name: string, of: (content: unknown) => T | null): T | null =>
      this.#file(name, faults, (path) => {
        const value = of(readJson(path, (message) => new Error(message)));
        if (value === null) throw new Error(`${name} is damaged, or of another program`);
        return value;
      });
    const config = json("config.json", (content) => {
      const fault = schemaFault(configSchema, content);
      if (fault !== null) throw new Error(`${fault} in config.json: it is damaged`);
      return configSchema.parse(content);
    });
    const summary = json("summary.json", summaryOf);
    const metrics = this.#file("metrics.csv", faults, (path) => metricsOf(readFileSync(path, "utf8")));
    if (metrics !== null && metrics.damagedLines > 0)
      faults.push(`${metrics.damagedLines} lines of metrics.csv are damaged and were left out`);
    const evaluation = json("evaluation.json", evaluationOf);
    const details =
      evaluation !== null && "version" in evaluation
        ? this.#file("evaluation.json", faults, readDetails, "details")
        : null;
    const index = this.#file("pictures/pictures.json", faults, () => readIndex(join(this.folder, "pictures")));
    if (index !== null && index.fault !== null) faults.push(`Of pictures/pictures.json, ${index.fault}`);
    return {
      folder: this.folder,
      name: basename(this.folder),
      state: running(this.folder) ? "running" : summary === null ? "broken off" : "ended",
      config,
      summary,
      numerics,
      metrics: metrics ?? { columns: [], rows: [], damagedLines: 0 },
      evaluation: details ?? evaluation,
      details,
      bestDetails: this.#file("evaluation-best.json", faults, readDetails),
      test: json("test.json", evaluationOf),
      pictures: index?.pictures ?? [],
      faults: [...faults, ...numerics.faults],
    };
  }

  /**
   * What a file holds, read again only when it has changed; null where it is missing or cannot be read.
   * @param part tells what is read of the file, where that is more than one thing
   */
  #file<T>(name: string, faults: string[], read: (path: string) => T, part = ""): T | null {
    const path = join(this.folder, name);
    const key = name + part;
    let found: Stats | undefined;
    try {
      found = statSync(path, { throwIfNoEntry: false });
    } catch (error) {
      faults.push(`${name} cannot be used: ${reasonOf(error)}`);
    }
    if (found === undefined) {
      this.#read.delete(key);
      return null;
    }
    const stamp = `${found.ino} ${found.size} ${found.mtimeMs}`;
    let known = this.#read.get(key);
    if (known?.stamp !== stamp) {
      try {
        // To read a pipe would wait for its writer.
        if (!found.isFile()) throw new Error("Expected a file but it is a folder, a pipe or a device");
        known = { stamp, value: read(path), fault: null };
      } catch (error) {
        known = { stamp, value: null, fault: `${name} cannot be used: ${reasonOf(error)}` };
      }
      this.#read.set(key, known);
    }
    if (known.fault !== null) faults.push(known.fault);
    return known.value as T | null;
  }
}

/**
 * Reads the folder of a run: one that has ended, was broken off, or is still written.
 * @param folder of the run
 * @throws RunDirectoryError for a folder that is not that of a run; never for damaged files, which `faults` names
 * @example
 * import { readRun } from "rfdetr/report";
 * const { state, summary, numerics } = readRun("runs/birds");
 * console.log(state, summary?.AP, `${numerics.skipped} of ${numerics.steps} steps skipped`);
 */
export function readRun(folder: string, options: ReadOptions = {}): RunRecord {
  return new RunReader(folder, options).read();
}

function checkFolder(folder: string): void {
  const found = hidden(folder) === null ? statSync(folder, { throwIfNoEntry: false }) : undefined;
  if (found === undefined) throw new RunDirectoryError(`Expected the folder of a run but ${folder} ${absence(folder)}`);
  if (!found.isDirectory())
    throw new RunDirectoryError(`Expected the folder of a run but ${folder} is a file`, {
      ...(isRun(dirname(folder)) ? { hint: `Give the folder ${dirname(folder)}` } : {}),
    });
  if (isRun(folder)) return;
  if (isRun(dirname(folder)))
    throw new RunDirectoryError(`Expected the folder of a run but ${folder} is a part of one`, {
      hint: `Give the folder ${dirname(folder)}`,
    });
  throw new RunDirectoryError(`Expected the folder of a run but ${folder} has none of ${ownFiles.join(", ")}`);
}

const isRun = (folder: string): boolean => ownFiles.some((name) => existsSync(join(folder, name)));

/** Whether a process holds the run; no where the lock cannot be read. */
function running(folder: string): boolean {
  try {
    return holderOf(folder) !== null;
  } catch {
    return false;
  }
}

/** Runs of early versions have the −1 of pycocotools where nothing is defined. */
const figure = fraction.or(z.literal(-1)).nullish();
const counted = z.number().nonnegative().nullish();
const figures = { AP: figure, AP50: figure, AP75: figure, instances: counted };
const maskSchema = z.looseObject({ ...figures, per_class: z.array(z.looseObject(figures)) });
const evaluationSchema = z.looseObject({
  ...figures,
  masks: maskSchema.optional(),
  images: counted,
  detections: counted,
  AP_small: figure,
  AP_medium: figure,
  AP_large: figure,
  per_class: z.array(z.looseObject({ ...figures, AR: figure, class_name: z.union([z.string(), z.number()]) })),
});

/** @returns null for what are no figures of an evaluation */
const evaluationOf = (content: unknown): CocoSummary | null =>
  evaluationSchema.safeParse(content).success ? (content as CocoSummary) : null;
