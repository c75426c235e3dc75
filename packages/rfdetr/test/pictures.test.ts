// Pictures of a run: they are there, and they change nothing of it.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/index.js";
import { readPictures } from "../src/pictures/picture-index.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { recordsOf } from "../src/run/files/tensorboard/event-files.js";
import { openTrainData } from "../src/run/session/open-train-data.js";
import { resumeConfig } from "../src/run/session/resume.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";

const folder = mkdtempSync(join(tmpdir(), "run-pictures-"));
const datasetDir = join(folder, "data");
beforeAll(() => synthesize(datasetDir, { images: 12, size: 64, classes: 2, seed: 1 }));
afterAll(() => rmSync(folder, { recursive: true }));

const settings = (name: string, more: Record<string, unknown> = {}) =>
  resolveSettings({
    datasetDir,
    model: "tiny",
    outputDir: join(folder, name),
    seed: 1,
    epochs: 2,
    batchSize: 2,
    numWorkers: 0,
    precision: "32-true",
    monitorInterval: 0,
    ...more,
  });

async function run(
  config: ReturnType<typeof settings>,
  { resume = null, stopAfter = 0 }: { resume?: string | null; stopAfter?: number } = {},
): Promise<TrainEvent[]> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const events: TrainEvent[] = [];
  for await (const event of train({ settings: config, resume, stop }, openTrainData)) {
    events.push(event);
    if (event.type === "step" && event.step === stopAfter) Atomics.store(stop, 0, 1);
  }
  return events;
}

const told = (events: readonly TrainEvent[], type: "warning"): string[] =>
  events.flatMap((event) => (event.type === type ? [event.message] : []));
/** The bytes of the tensors of a safetensors file, without its header. */
const weights = (name: string): Buffer => {
  const file = readFileSync(join(folder, name, "weights", "last.safetensors"));
  return file.subarray(8 + Number(file.readBigUInt64LE(0)));
};

describe("a run", () => {
  let events: TrainEvent[];
  const pictures = () => readPictures(join(folder, "drawn", "pictures"));
  beforeAll(async () => {
    events = await run(settings("drawn"));
  });

  it("draws its labels, three training batches, its best evaluation and its course", () => {
    const kinds = new Set(pictures().map(({ kind }) => kind));
    for (const kind of ["labels", "results", "precision-recall", "f1", "confusion", "confusion-normalised"] as const)
      expect(kinds).toContain(kind);
    const names = pictures().map(({ file }) => file);
    for (const name of ["train-batch-1.jpg", "train-batch-2.jpg", "train-batch-3.jpg", "validation-1.jpg"])
      expect(names).toContain(name);
    expect(readFileSync(join(folder, "drawn", "pictures", "results.svg"), "utf8")).toContain("gradient norm");
  });

  it("says in its log how long its pictures took", () => {
    expect(told(events, "warning")).toEqual([]);
    expect(readFileSync(join(folder, "drawn", "log.txt"), "utf8")).toMatch(/Z pictures {3}took \d+\.\d s of the run\n/);
  });

  it("shows them in TensorBoard, beside the scalars", () => {
    const [file] = readdirSync(join(folder, "drawn")).filter((name) => name.startsWith("events."));
    const records = [...recordsOf(join(folder, "drawn", file))].map(({ data }) => data?.toString("latin1") ?? "");
    for (const tag of ["pictures/labels", "pictures/train-batch-1", "pictures/validation-1", "pictures/f1", "val/AP50"])
      expect(records.filter((record) => record.includes(tag)).length).toBeGreaterThanOrEqual(1);
  });

  it("has the same bits without them", async () => {
    await run(settings("bare", { plots: false }));
    expect(existsSync(join(folder, "bare", "pictures"))).toBe(false);
    expect(weights("bare").equals(weights("drawn"))).toBe(true);
    const metrics = (name: string) =>
      readFileSync(join(folder, name, "metrics.csv"), "utf8")
        .split("\n")
        .map((line) => line.split(",").slice(0, 10));
    expect(metrics("bare")).toEqual(metrics("drawn"));
  });

  it("that is continued draws what is missing", async () => {
    await run(settings("stopped"), { stopAfter: 1 });
    expect(existsSync(join(folder, "stopped", "pictures", "train-batch-2.jpg"))).toBe(false);
    rmSync(join(folder, "stopped", "pictures", "labels.jpg"));
    await run(resumeConfig(join(folder, "stopped")), { resume: join(folder, "stopped") });
    const names = readPictures(join(folder, "stopped", "pictures")).map(({ file }) => file);
    for (const name of ["labels.jpg", "train-batch-3.jpg", "validation-1.jpg"]) expect(names).toContain(name);
    expect(weights("stopped").equals(weights("drawn"))).toBe(true);
  });

  it("goes on without them where they cannot be written, and says so once", async () => {
    const blocked: TrainEvent[] = [];
    const stop = new Int32Array(1);
    for await (const event of train({ settings: settings("blocked"), resume: null, stop }, openTrainData)) {
      blocked.push(event);
      // A file is in the place of the folder.
      if (event.type === "start") writeFileSync(join(folder, "blocked", "pictures"), "");
    }
    expect(told(blocked, "warning").filter((message) => message.includes("pictures"))).toEqual([
      expect.stringMatching(/^.*pictures.* cannot be written.*\. The run goes on without pictures$/),
    ]);
    expect(blocked.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished" } });
    expect(weights("blocked").equals(weights("drawn"))).toBe(true);
  });
});
