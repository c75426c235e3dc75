// A run of a model with masks: its figures are of masks wherever figures stand. The processes run from dist.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getNumThreads, setNumThreads } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/index.js";
import { readDetails } from "../src/eval/details/details-file.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { exportOnnx } from "../src/export/export-onnx.js";
import { evaluateOnnx } from "../src/onnx/evaluate-onnx.js";
import type { EpochEvent, TrainEvent } from "../src/run/events/events.js";
import { readMetrics } from "../src/run/files/read-metrics.js";
import { resumeConfig } from "../src/run/session/resume.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { plannedGroup } from "../src/testing/ranks/planned-group.js";
import { type PlannedRun, plannedRun } from "../src/testing/ranks/planned-run.js";

const folder = mkdtempSync(join(tmpdir(), "masks-"));
const path = (name: string): string => join(folder, name);
const bytes = (name: string, file: string): Buffer => readFileSync(join(path(name), file));
const json = (name: string, file: string): Record<string, unknown> => JSON.parse(String(bytes(name, file)));
const threads = getNumThreads();

const recipe = {
  datasetDir: path("data"),
  model: "seg-tiny",
  seed: 5,
  epochs: 3,
  batchSize: 2,
  lr: 1e-3,
  warmupEpochs: 0,
  numWorkers: 0,
  precision: "32-true",
  multiScale: false,
  monitorInterval: 0,
  plots: false,
};
const settings = (name: string, extra: object = {}) => resolveSettings({ ...recipe, outputDir: path(name), ...extra });

async function run(request: PlannedRun["request"], plan: Partial<PlannedRun> = {}): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of plannedRun({ request, ...plan })) events.push(event);
  return events;
}

let epochs: EpochEvent[];
let events: TrainEvent[];
beforeAll(async () => {
  await synthesize(path("data"), { images: 24, size: 96, classes: 2, seed: 1 });
  setNumThreads(1);
  events = await run({ settings: settings("whole", { runTest: true }), resume: null });
  epochs = events.filter((event) => event.type === "epoch");
}, 120_000);
afterAll(() => {
  setNumThreads(threads);
  rmSync(folder, { recursive: true });
});

describe("a run of a model with masks", () => {
  it("has finite figures of masks in its events, beside those of boxes", () => {
    expect(epochs).toHaveLength(3);
    for (const { masks, ap } of epochs) {
      expect([Number.isFinite(ap), Number.isFinite(masks?.ap), Number.isFinite(masks?.ap50)]).toEqual([
        true,
        true,
        true,
      ]);
      expect(masks?.perClass).toHaveLength(2);
    }
    expect(events.find((event) => event.type === "test")?.masks).toMatchObject({ ap: expect.any(Number) });
  });

  it("has its best epoch by the masks: in the events, metrics.csv, summary.json and evaluation-best.json", () => {
    const rows = readMetrics(join(path("whole"), "metrics.csv"));
    // The file has seven digits.
    for (const [i, { masks }] of epochs.entries()) {
      expect(rows[i]["val/mask_AP"]).toBeCloseTo(masks?.ap as number, 8);
      expect(rows[i]["val/mask_AP50"]).toBeCloseTo(masks?.ap50 as number, 7);
    }
    const most = Math.max(...epochs.map(({ masks }) => masks?.ap ?? -1));
    expect(most).toBeGreaterThan(0);
    const best = epochs.findLast((event) => event.best) as EpochEvent;
    expect(best.masks?.ap).toBe(most);
    const { ap, ap50, masks } = best;
    expect(json("whole", "summary.json")).toMatchObject({
      best_epoch: best.epoch,
      AP: ap,
      AP50: ap50,
      mask_AP: masks?.ap,
      mask_AP50: masks?.ap50,
    });
    const details = readDetails(join(path("whole"), "evaluation-best.json"));
    expect(details).toMatchObject({ AP: ap, masks: { AP: most, AP50: masks?.ap50 } });
    expect(details.masks?.sizes.map(({ AP }) => AP)).toEqual([
      details.masks?.AP_small,
      details.masks?.AP_medium,
      details.masks?.AP_large,
    ]);
    expect(details.masks?.errors.AP50).toEqual(expect.any(Number));
    // A class has a best threshold where one of its objects was found; of two classes, three epochs may find one.
    const classes = details.masks?.per_class ?? [];
    expect(classes).toHaveLength(2);
    for (const { AP50, best } of classes) expect((best?.f1 ?? 0) > 0).toBe((AP50 ?? 0) > 0);
    expect(events.find((event) => event.type === "test")?.masks?.perClass[0]).not.toHaveProperty("errors");
  });

  it("has weights that give the figures of masks again", async () => {
    const weights = join(path("whole"), "weights", "best.safetensors");
    const options = { data: path("data"), split: "valid", batch: 4, precision: "32-true", device: "cpu" } as const;
    const { summary } = await evaluateWeights(weights, options);
    const best = json("whole", "evaluation-best.json") as { AP: number; masks: { AP: number } };
    expect(summary.AP).toBeCloseTo(best.AP, 6);
    expect(summary.masks?.AP).toBeCloseTo(best.masks.AP, 6);
  });

  it("gives an exported file the same figures of masks", async () => {
    const weights = join(path("whole"), "weights", "best.safetensors");
    await exportOnnx({ weights, out: path("best.onnx"), precision: "fp32", batch: 4 });
    const { summary } = await evaluateOnnx(path("best.onnx"), { data: path("data"), split: "valid", batch: 4 });
    const best = json("whole", "evaluation-best.json") as { masks: { AP: number; AR100: number } };
    // Detections of nearly one score may change places.
    expect(summary.masks?.AP).toBeCloseTo(best.masks.AP, 3);
    expect(summary.masks?.AR100).toBeCloseTo(best.masks.AR100, 2);
  }, 60_000);

  it("keeps its best by the masks when it is stopped and continued, to the bit", async () => {
    const stopped = await run({ settings: settings("parts"), resume: null }, { stopped: { step: 15, rank: 0 } });
    expect(stopped.at(-1)).toMatchObject({ summary: { stop_reason: "interrupted", mask_AP: epochs[0].masks?.ap } });
    await run({ settings: resumeConfig(path("parts")), resume: path("parts") });
    for (const file of ["weights/best.safetensors", "weights/last.safetensors", "evaluation-best.json"])
      expect(bytes("parts", file).equals(bytes("whole", file)), file).toBe(true);
    const { best_epoch, mask_AP, mask_AP50, AP } = json("whole", "summary.json");
    expect(json("parts", "summary.json")).toMatchObject({ best_epoch, mask_AP, mask_AP50, AP });
  }, 60_000);

  it("has the same figures of masks in two processes", async () => {
    const same = { maxSteps: 4, epochs: 1, gradAccumSteps: 2, boxNormaliser: "step" };
    await run({ settings: settings("one", same), resume: null });
    const two = settings("two", { maxSteps: 4, epochs: 1, processes: 2 });
    const { ends } = await plannedGroup(2, { request: { settings: two, resume: null } });
    expect(ends).toEqual(["done", "done"]);
    expect(bytes("two", "evaluation.json").equals(bytes("one", "evaluation.json"))).toBe(true);
    expect((json("two", "evaluation.json") as { masks: unknown }).masks).toMatchObject({ AP: expect.any(Number) });
  }, 60_000);
});
