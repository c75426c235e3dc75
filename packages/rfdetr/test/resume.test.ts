import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSafetensors, memory } from "@rfdetr/torch";
import { beforeEach, describe, expect, it } from "vitest";
import { garbageCollector } from "../src/data/loader/collect-garbage.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { recordsOf } from "../src/run/files/tensorboard/event-files.js";
import { TensorBoardWriter } from "../src/run/files/tensorboard/tensorboard.js";
import { resumeConfig } from "../src/run/session/resume.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import type { TrainSettings } from "../src/settings/settings.js";
import { loadModel } from "../src/weights/weights.js";
import { squares } from "./squares.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "resume-"));
});

const settings = (name: string, extra: Record<string, unknown> = {}): TrainSettings =>
  resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: join(folder, name),
    seed: 3,
    epochs: 2,
    batchSize: 2,
    evalInterval: 1,
    warmupEpochs: 0.4,
    ...extra,
  });

/** Runs until the end, or asks to stop after a step. */
async function run(
  config: TrainSettings,
  resume: string | null = null,
  stopAfter = Number.POSITIVE_INFINITY,
): Promise<TrainEvent[]> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const events: TrainEvent[] = [];
  for await (const event of train({ settings: config, resume, stop }, squares(10))) {
    events.push(event);
    if (event.type === "step" && event.step === stopAfter) Atomics.store(stop, 0, 1);
  }
  return events;
}

const bytes = (name: string, file: string) => readFileSync(join(folder, name, file));
const doneOf = (events: TrainEvent[]) => events.at(-1) as Extract<TrainEvent, { type: "done" }>;

/** A line of numerics.jsonl without times and memory. */
function withoutTimes(line: string): Record<string, unknown> {
  const { seconds, memory, phases, progress, ...figures } = JSON.parse(line);
  return progress ? { ...figures, progress: { ...progress, images_per_second: null, seconds_left: null } } : figures;
}

describe("a run that is stopped and continued", () => {
  // Multi-scale, warm-up, average, accumulation, layers dropped at random: everything that a resume could lose.
  it.each([
    [2, "float32", [], false],
    [5, "8bit", ["backbone.*"], false],
    [8, "float32", [], true],
  ] as const)(
    "after step %i of 10, with %s moments, %j frozen and adapters %s, ends with bit-identical weights and records",
    async (stopAfter, optimizerState, freeze, backboneLora) => {
      const extra = { gradAccumSteps: 2, optimizerState, dropPath: 0.3, freeze, backboneLora };
      await run(settings("whole", extra));
      const stopped = await run(settings("parts", extra), null, stopAfter);
      expect(doneOf(stopped).summary).toMatchObject({ stop_reason: "interrupted", steps: stopAfter });
      const folderOfRun = join(folder, "parts");
      const events = await run(resumeConfig(folderOfRun), folderOfRun);
      expect(doneOf(events).summary).toMatchObject({ stop_reason: "finished", steps: 10, epochs: 2 });
      for (const file of [
        "weights/last.safetensors",
        "weights/best.safetensors",
        "checkpoint/model.safetensors",
        "checkpoint/optimizer.safetensors",
        "checkpoint/ema.safetensors",
      ])
        expect(bytes("parts", file).equals(bytes("whole", file)), file).toBe(true);
      const keys = (file: string) => [...loadSafetensors(join(folderOfRun, file)).tensors.keys()].join();
      expect(keys("checkpoint/model.safetensors").includes("lora")).toBe(backboneLora);
      expect(loadModel(join(folderOfRun, "weights/best.safetensors")).classNames).toEqual(["red", "blue"]);
      const lines = (name: string) => bytes(name, "numerics.jsonl").toString().trim().split("\n").map(withoutTimes);
      expect(lines("parts")).toEqual(lines("whole"));
      expect(bytes("parts", "metrics.csv").toString().split("\n").length).toBe(
        bytes("whole", "metrics.csv").toString().split("\n").length,
      );
    },
  );
});

describe("a run in 16-mixed that is stopped and continued", () => {
  it("writes the records of one that was not: faults are counted on, each event stands once", async () => {
    // The scale overflows far more often than faulty steps are run again to find their place.
    const extra = { precision: "16-mixed", scaler: { init: 2 ** 50 }, epochs: 7, monitorInterval: 0, evalInterval: 7 };
    await run(settings("whole", extra));
    await run(settings("parts", extra), null, 12);
    const path = join(folder, "parts");
    // What a kill leaves: records beyond the checkpoint.
    const later = bytes("whole", "numerics.jsonl").toString().trim().split("\n").slice(-20);
    appendFileSync(join(path, "numerics.jsonl"), `${later.join("\n")}\n{"ki`);
    const writer = new TensorBoardWriter(path);
    for (const step of [20, 30]) writer.scalars(step, { "train/loss_step": 1 });
    writer.close();
    await run(resumeConfig(path), path);
    const records = (name: string) => bytes(name, "numerics.jsonl").toString().trim().split("\n").map(withoutTimes);
    expect(records("whole").filter(({ kind }) => kind === "overflow")).toHaveLength(20);
    expect(records("parts")).toEqual(records("whole"));
    const events = (name: string) =>
      readdirSync(join(folder, name))
        .filter((file) => file.startsWith("events"))
        .flatMap((file) => [...recordsOf(join(folder, name, file))])
        .flatMap(({ data }) => (data?.includes("train/") ? [data.subarray(9).toString("latin1")] : []));
    expect(events("parts")).toEqual(events("whole"));
  });
});

describe("a run that is killed", () => {
  it("before its first step can be continued, also where its first checkpoint is missing", async () => {
    await run(settings("whole"));
    const path = join(folder, "killed");
    for await (const event of train(
      { settings: settings("killed"), resume: null, stop: new Int32Array(1) },
      squares(10),
    ))
      if (event.type === "checkpoint") break;
    await run(resumeConfig(path), path);
    expect(bytes("killed", "weights/last.safetensors").equals(bytes("whole", "weights/last.safetensors"))).toBe(true);
    for await (const event of train({ settings: settings("bare"), resume: null, stop: new Int32Array(1) }, squares(10)))
      if (event.type === "start") break;
    const bare = join(folder, "bare");
    expect(existsSync(join(bare, "checkpoint"))).toBe(false);
    const events = await run(resumeConfig(bare), bare);
    expect(events).toContainEqual({
      type: "note",
      message: "The run has no checkpoint yet: it starts from the beginning",
    });
    expect(bytes("bare", "weights/last.safetensors").equals(bytes("whole", "weights/last.safetensors"))).toBe(true);
    expect(readdirSync(bare)).not.toContain("lock");
  });
});

describe("a run that has ended", () => {
  it("keeps its summary when it is continued, with the reason why it ended", async () => {
    await run(settings("done", { maxSteps: 4 }));
    const before = bytes("done", "summary.json");
    const path = join(folder, "done");
    const events = await run(resumeConfig(path), path);
    expect(doneOf(events).summary).toMatchObject({ stop_reason: "max_steps", steps: 4 });
    expect(bytes("done", "summary.json").equals(before)).toBe(true);
    rmSync(join(path, "summary.json"));
    expect(doneOf(await run(resumeConfig(path), path)).summary.stop_reason).toBe("max_steps");
    const written = bytes("done", "summary.json").toString();
    for (const damaged of ["", "null", written.replace(/"AP50": [^,]*/, '"AP50": {}')]) {
      writeFileSync(join(path, "summary.json"), damaged);
      expect(doneOf(await run(resumeConfig(path), path)).summary).toMatchObject({ stop_reason: "max_steps", steps: 4 });
      expect(JSON.parse(bytes("done", "summary.json").toString())).toMatchObject({ stop_reason: "max_steps" });
    }
  });
});

describe("the folder of a run", () => {
  it("holds what was promised", async () => {
    const events = await run(settings("a"));
    expect(events.map(({ type }) => type).filter((type, i, all) => type !== all[i - 1])).toEqual([
      "start",
      "checkpoint",
      "step",
      "evaluation",
      "epoch",
      "checkpoint",
      "step",
      "evaluation",
      "epoch",
      "checkpoint",
      "done",
    ]);
    const names = readdirSync(join(folder, "a")).map((name) => (name.startsWith("events.out") ? "events" : name));
    expect(names.sort()).toEqual([
      "checkpoint",
      "config.json",
      "evaluation-best.json",
      "evaluation.json",
      "events",
      "log.txt",
      "metrics.csv",
      "numerics.jsonl",
      "pictures",
      "summary.json",
      "weights",
    ]);
    expect(Object.keys(JSON.parse(bytes("a", "summary.json").toString()))).toEqual([
      "AP",
      "AP50",
      "precision",
      "reason",
      "epochs",
      "steps",
      "skipped_steps",
      "bad_images",
      "train_seconds",
      "processes",
      "peak_rss_bytes",
      "stop_reason",
      "best_epoch",
      "error",
      "started",
      "versions",
    ]);
    expect(doneOf(events).summary).toMatchObject({ error: null, started: expect.stringMatching(/^\d{4}-.*Z$/) });
    const { metadata, tensors } = loadSafetensors(join(folder, "a", "weights", "best.safetensors"));
    for (const tensor of tensors.values()) tensor.dispose();
    expect(JSON.parse(metadata.class_names)).toEqual(["red", "blue"]);
    expect(metadata.variant).toBe("tiny");
  });

  it("is not taken a second time, and what was there stays", async () => {
    mkdirSync(join(folder, "b"));
    await run(settings("b"));
    const before = bytes("b", "weights/best.safetensors");
    await expect(run(settings("b"))).rejects.toThrow("exists and is not empty");
    expect(bytes("b", "weights/best.safetensors").equals(before)).toBe(true);
  });
});

describe("a run whose gradients are never finite", () => {
  it("changes no weight, says so at the first step, and ends with the reason", async () => {
    const config = settings("nan", { lr: 0, epochs: 100, bboxLossCoef: 1e300 });
    const warnings: string[] = [];
    const faults: unknown[] = [];
    await expect(
      (async () => {
        for await (const event of train({ settings: config, resume: null, stop: new Int32Array(1) }, squares(10)))
          if (event.type === "warning") warnings.push(event.message);
          else if (event.type === "step") faults.push(event.fault);
      })(),
    ).rejects.toThrow("50 steps in a row were not finite");
    expect(faults[0]).toEqual({
      what: expect.stringMatching(/^loss of micro-batch 1 of 1/),
      module: "the loss (mul)",
      scale: 1,
    });
    expect(warnings).toEqual([expect.stringContaining("5 of 5 steps (100 %) were skipped")]);
    expect(JSON.parse(bytes("nan", "summary.json").toString())).toMatchObject({
      stop_reason: "failed",
      error: expect.stringContaining("50 steps in a row were not finite, since step 1"),
    });
    expect(existsSync(join(folder, "nan", "numerics.jsonl"))).toBe(true);
  });
});

describe("training", () => {
  it("leaks no tensor from step to step", async () => {
    // Models of the runs before are garbage, and would be collected at any step of this one.
    garbageCollector(0)(1);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const live: number[] = [];
    for await (const event of train({ settings: settings("leak"), resume: null, stop: new Int32Array(1) }, squares(10)))
      if (event.type === "step") live.push(memory().liveTensors);
    expect(new Set(live.slice(1)).size).toBe(1);
  });
});
