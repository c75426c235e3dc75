// Several processes give what one gives. The processes run from dist.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord } from "@rfdetr/amp";
import { getNumThreads, setNumThreads } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/index.js";
import { requestControl } from "../src/run/control/control.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { resumeConfig } from "../src/run/session/resume.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { type GroupResult, plannedGroup } from "../src/testing/ranks/planned-group.js";
import { type PlannedRun, plannedRun } from "../src/testing/ranks/planned-run.js";

const folder = mkdtempSync(join(tmpdir(), "ranks-"));
const data = join(folder, "data");
const threads = getNumThreads();
beforeAll(async () => {
  await synthesize(data, { images: 24, size: 64, classes: 2, seed: 1 });
  // Without the last one, the second batch of the evaluation has no image at all.
  for (const name of ["train/train-00007.jpg", "valid/valid-00003.jpg"]) cutOff(join(data, name));
  setNumThreads(1);
});
afterAll(() => {
  setNumThreads(threads);
  rmSync(folder, { recursive: true });
});

/** Keeps the first half of a picture, which does not decode then. */
function cutOff(file: string): void {
  const whole = readFileSync(file);
  writeFileSync(file, whole.subarray(0, whole.length >> 1));
}

const path = (name: string): string => join(folder, name);
const bytes = (name: string, file: string): Buffer => readFileSync(join(path(name), file));

// Rank 0 alone has callbacks; what they ask for holds for all.
const callbacks = join(folder, "callbacks.mjs");
const code = `let steps = 0;
export default {
  onStep: () => ({ metrics: { steps: ++steps }, lrFactor: 1 / (1 + (steps % 3)) }),
  state: () => steps,
  load: (state) => void (steps = state),
};`;
writeFileSync(callbacks, code);

// Everything that has a state or draws at random: two sizes of steps, augmentation, dropped layers, average, a loss
// scale that overflows in the first steps and grows past its limit again.
const recipe = {
  callbacks,
  datasetDir: data,
  model: "tiny",
  seed: 3,
  epochs: 2,
  maxSteps: 10,
  batchSize: 2,
  numWorkers: 0,
  evalBatchSize: 3,
  precision: "16-mixed",
  scaler: { init: 2 ** 19, interval: 3 },
  dropPath: 0.3,
  augment: "aggressive",
  classBalancedSampling: 0.9,
  classWeights: 0.5,
  evalBaseModel: true,
  runTest: true,
  plots: false,
  tensorboard: false,
  monitorInterval: 0,
};
const settings = (name: string, extra: object) => resolveSettings({ ...recipe, outputDir: path(name), ...extra });
/** The same step in one process. */
const accumulated = { gradAccumSteps: 2, boxNormaliser: "step" };

async function alone(name: string, extra: object, plan: Partial<PlannedRun> = {}): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  for await (const event of plannedRun({ request: { settings: settings(name, extra), resume: null }, ...plan }))
    events.push(event);
  return events;
}

const together = (name: string, extra: object = {}, plan: Partial<PlannedRun> = {}): Promise<GroupResult> =>
  plannedGroup(2, { request: { settings: settings(name, { processes: 2, ...extra }), resume: null }, ...plan });

const resumed = (name: string): PlannedRun["request"] => ({ settings: resumeConfig(path(name)), resume: path(name) });

const state = ["checkpoint/model", "checkpoint/optimizer", "checkpoint/ema", "weights/last"].map(
  (name) => `${name}.safetensors`,
);
const results = [...state, "weights/best.safetensors", "evaluation.json"];

function expectSameBits(name: string, other: string, files = results): void {
  for (const file of files)
    expect(bytes(name, file).equals(bytes(other, file)), `${file} of ${name} and ${other}`).toBe(true);
}

const records = (name: string) => bytes(name, "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
/** What the steps of a run were, without times and memory. */
const steps = (name: string): unknown[] =>
  records(name)
    .filter(({ kind }) => kind === "step")
    .map(({ seconds, memory, phases, ranks, fault, bad_module, progress, ...figures }) => ({
      ...figures,
      progress: progress && { ...progress, images_per_second: null, seconds_left: null },
    }));

const said = (events: readonly TrainEvent[]): string[] =>
  events.flatMap((event) => (event.type === "warning" ? [event.message] : []));

describe("two processes", () => {
  it("have the weights, moments, average and figures of one that accumulates as many micro-batches, to the bit", async () => {
    const events = await alone("one", accumulated);
    const { ends, events: ofTwo } = await together("two");
    expect(ends).toEqual(["done", "done"]);
    expectSameBits("two", "one", [...results, "test.json"]);
    expect(said(ofTwo).sort()).toEqual(said(events).sort());
    expect(said(ofTwo)).toContainEqual(expect.stringContaining("train-00007.jpg"));
    expect(said(ofTwo)).toContainEqual(expect.stringContaining("valid-00003.jpg"));
    expect(ofTwo.at(-1)).toMatchObject({ type: "done", summary: { bad_images: 2 } });
    expect(steps("two")).toEqual(steps("one"));
    const losses = (all: readonly TrainEvent[]) =>
      all.flatMap((event) => (event.type === "epoch" ? [[event.valLoss, event.valTerms]] : []));
    expect(losses(ofTwo)).toEqual(losses(events));
    const asked = ofTwo.flatMap((event) => (event.type === "step" ? [event.metrics?.["callbacks/steps"]] : []));
    expect(asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const skipped = events.filter((event) => event.type === "step" && event.skipped);
    expect(skipped.length).toBeGreaterThan(1);
    expect(new Set(events.flatMap((event) => (event.type === "step" ? [event.size] : []))).size).toBeGreaterThan(1);
    const { ranks } = records("two").findLast(({ kind }) => kind === "step") as { ranks?: { images: number[] } };
    expect(ranks?.images).toEqual([2, 2]);
  }, 60_000);

  it("go back together from a loss that is not finite on one, and name process, loss and image", async () => {
    const poisoned = [{ step: 3, microBatch: 1 }];
    const extra = { precision: "32-true", scaler: {}, maxSteps: 6, onNonFinite: "rollback", checkpointSeconds: 0 };
    await alone("one-nan", { ...accumulated, ...extra }, { poisoned });
    const { ends, events } = await together("two-nan", extra, { poisoned });
    expect(ends).toEqual(["done", "done"]);
    expectSameBits("two-nan", "one-nan");
    expect(events.flatMap((event) => (event.type === "step" && event.skipped ? [event] : []))).toEqual([
      expect.objectContaining({
        step: 3,
        fault: expect.objectContaining({
          what: expect.stringMatching(/^loss of micro-batch 2 of 2 on rank 1 \(loss_/),
          rank: 1,
          image: expect.stringMatching(/\.(jpg|png)$/),
        }),
      }),
    ]);
    expect(said(events)).toContainEqual(expect.stringMatching(/^Rank 1 on .*: Some matching costs/));
    expect(said(events)).toContainEqual(expect.stringContaining("goes back to the state after step 2"));
  }, 60_000);

  it("end with the reason when one is killed, and lose no step; one process goes on, then two again, to the same bits", async () => {
    const { ends } = await together("killed", {}, { killed: { step: 5, rank: 1 } });
    expect(ends).toEqual([
      expect.objectContaining({
        code: "ERR_RANK",
        message: expect.stringMatching(/^Rank 1 on .* ended without a word$/),
        hint: expect.stringContaining("its checkpoint is of step 4"),
      }),
      null,
    ]);
    for await (const event of plannedRun({ request: resumed("killed"), stopped: { step: 2, rank: 0 } }))
      if (event.type === "done") expect(event.summary).toMatchObject({ stop_reason: "interrupted", steps: 6 });
    const last = await plannedGroup(2, { request: resumed("killed") });
    expect(last.ends).toEqual(["done", "done"]);
    expectSameBits("killed", "two");
  }, 60_000);

  it("hold a pause and an override from the same step, and end when one is asked to, as a run of one repeats it", async () => {
    const asked: Promise<unknown>[] = [];
    const heard = (event: TrainEvent): void => {
      if (event.type !== "step" || event.step !== 2) return;
      const ask = (command: Parameters<typeof requestControl>[1]) => requestControl(path("told"), command);
      const all = async () => {
        await ask({ command: "pause" });
        await ask({ command: "override", pattern: "bbox_embed", rule: "fp32" });
        await new Promise((resolve) => setTimeout(resolve, 1500));
        await ask({ command: "go-on" });
      };
      asked.push(all());
    };
    const request = { settings: settings("told", { processes: 2, maxSteps: 8 }), resume: null };
    const { ends, events } = await plannedGroup(2, { request, stopped: { step: 5, rank: 1 } }, { heard });
    await Promise.all(asked);
    expect(ends).toEqual(["done", "done"]);
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "interrupted" } });
    const { steps: ended } = (events.at(-1) as Extract<TrainEvent, { type: "done" }>).summary;
    const { settings: recorded } = JSON.parse(bytes("told", "config.json").toString());
    expect(recorded.precision_changes).toHaveLength(1);
    const again = resolveSettings({ ...recorded, output_dir: path("told-again") });
    for await (const _ of plannedRun({
      request: { settings: again, resume: null },
      stopped: { step: ended, rank: 0 },
    }));
    expectSameBits("told", "told-again", state);
  }, 60_000);

  it("may send gradients in bfloat16: the first losses stay the same, later ones nearly", async () => {
    const extra = { precision: "32-true", scaler: {}, maxSteps: 4 };
    const losses = async (name: string, more: object): Promise<number[]> => {
      const { ends, events } = await together(name, { ...extra, ...more });
      expect(ends).toEqual(["done", "done"]);
      return events.flatMap((event) => (event.type === "step" ? [event.loss] : []));
    };
    const exact = await losses("exact", {});
    const compressed = await losses("compressed", { gradientCompression: "bfloat16" });
    expect(compressed[0]).toBe(exact[0]);
    expect(compressed).not.toEqual(exact);
    for (const [i, loss] of compressed.entries()) expect(Math.abs(loss / (exact[i] as number) - 1)).toBeLessThan(0.01);
  }, 60_000);
});
