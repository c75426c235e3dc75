import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadSafetensors, type Tensor } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { loadCheckpoint, saveCheckpoint, soundCheckpoint } from "../src/run/files/checkpoint/checkpoint.js";
import { resumeConfig } from "../src/run/session/resume.js";
import type { OpenTrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { DataError } from "../src/support/errors.js";
import { saveWeights } from "../src/weights/weights.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "health-"));
afterAll(() => rmSync(folder, { recursive: true }));

const settings = (name: string, extra: Record<string, unknown> = {}) =>
  resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: join(folder, name),
    seed: 3,
    epochs: 2,
    batchSize: 2,
    precision: "32-true",
    multiScale: false,
    monitorInterval: 0,
    ...extra,
  });

interface Outcome {
  events: TrainEvent[];
  warnings: string[];
  error: (Error & { code?: string; hint?: string }) | null;
}

/** Runs until the end, a failure, or a request to stop after a step. */
async function run(
  config: ReturnType<typeof settings>,
  resume: string | null = null,
  stopAfter = Number.POSITIVE_INFINITY,
  data: OpenTrainData = squares(10),
): Promise<Outcome> {
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const outcome: Outcome = { events: [], warnings: [], error: null };
  try {
    for await (const event of train({ settings: config, resume, stop }, data)) {
      outcome.events.push(event);
      if (event.type === "warning") outcome.warnings.push(event.message);
      if (event.type === "step" && event.step === stopAfter) Atomics.store(stop, 0, 1);
    }
  } catch (error) {
    outcome.error = error as Error;
  }
  return outcome;
}

const path = (name: string, file: string) => join(folder, name, file);
const summary = (name: string) => JSON.parse(readFileSync(path(name, "summary.json"), "utf8"));

/** Whether every number of a file of tensors is finite. */
function finite(file: string): boolean {
  const { tensors } = loadSafetensors(file);
  const good = [...tensors.values()].every((tensor) => !tensor.isFloatingPoint || tensor.isfinite().all().item() === 1);
  for (const tensor of tensors.values()) tensor.dispose();
  return good;
}

/** Puts a value into the first element of a tensor of a checkpoint. @returns what it is called */
function spoil(name: string, kind: "model" | "ema" | "expAvg" | "expAvgSq" | "expAvgScale", value: number): string {
  const where = path(name, "checkpoint");
  const { progress, ...tensors } = loadCheckpoint(where);
  const key = "class_embed.bias";
  const average = tensors.ema?.tensors ?? new Map<string, Tensor>();
  const found = {
    model: tensors.model.get(key),
    ema: average.get(key),
    expAvg: tensors.optimizer.expAvg[5],
    expAvgSq: tensors.optimizer.expAvgSq[5],
    expAvgScale: tensors.optimizer.expAvgScale?.find((scales) => scales !== null),
  }[kind] as Tensor;
  found.flatten().narrow(0, 0, 1).fill_(value);
  saveCheckpoint(where, progress, tensors, soundCheckpoint(where).settings);
  for (const tensor of [
    ...tensors.model.values(),
    ...average.values(),
    ...tensors.optimizer.expAvg,
    ...tensors.optimizer.expAvgSq,
  ])
    tensor.dispose();
  return key;
}

/** A run that was stopped after seven of its ten steps. */
async function stopped(name: string, extra: Record<string, unknown> = {}): Promise<string> {
  await run(settings(name, extra), null, 7);
  return join(folder, name);
}

describe("a run that is stopped before its first evaluation", () => {
  it("leaves weights that can be used", async () => {
    const { events } = await run(settings("early"), null, 2);
    const last = path("early", "weights/last.safetensors");
    expect(events.at(-1)).toMatchObject({ type: "done", best: null, last, summary: { stop_reason: "interrupted" } });
    expect(finite(last)).toBe(true);
  });
});

describe("values of a checkpoint that are not finite", () => {
  it.each([
    ["model", Number.NaN, /^The weights .* continue from their average$/],
    ["ema", Number.POSITIVE_INFINITY, /^The average of .* begins again from the weights$/],
    ["expAvg", Number.NaN, /^The moments of .* begin again from zero$/],
    ["expAvgSq", -1, /^The moments of .* begin again from zero$/],
    ["expAvgScale", Number.NaN, /^The moments of .* begin again from zero$/],
  ] as const)("are named and repaired: %s", async (kind, value, message) => {
    const name = `spoilt-${kind}`;
    const where = await stopped(name, kind === "expAvgScale" ? { optimizerState: "8bit" } : {});
    spoil(name, kind, value);
    const { warnings, events } = await run(resumeConfig(where), where);
    expect(warnings).toEqual([expect.stringMatching(message)]);
    expect(warnings[0]).toContain("first seen after step 7");
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { steps: 10, skipped_steps: 0 } });
    for (const one of ["weights/last.safetensors", "checkpoint/model.safetensors", "checkpoint/ema.safetensors"])
      expect(finite(path(name, one)), one).toBe(true);
  });

  it("end the run before its first step where no finite copy is left", async () => {
    const where = await stopped("lost", { useEma: false });
    const key = spoil("lost", "model", Number.NaN);
    const { error } = await run(resumeConfig(where), where);
    expect(error).toMatchObject({ code: "ERR_CHECKPOINT", message: expect.stringContaining(key) });
    expect(error?.hint).toContain("best.safetensors");
  });
});

describe("weights to start from that are not finite", () => {
  it("are refused before anything is written", async () => {
    const config = resolveModel("tiny", { numClasses: 2 });
    const weights = new RFDETRModel(config).stateDict();
    weights.get("class_embed.bias")?.detach().fill_(Number.NaN);
    const file = join(folder, "nan.safetensors");
    saveWeights(file, weights, { classNames: ["red", "blue"], config });
    const { error } = await run(settings("refused", { weights: file }));
    expect(error).toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringMatching(/finite weights in .*nan\.safetensors.* class_embed\.bias/),
    });
    expect(existsSync(join(folder, "refused"))).toBe(false);
  });
});

describe("a run that fails on its data", () => {
  it("leaves weights that can be used, and a checkpoint of its last step", async () => {
    const failing: OpenTrainData = async (...request) => {
      const data = await squares(10)(...request);
      return {
        ...data,
        async *steps(epoch, from) {
          let read = from;
          for await (const step of data.steps(epoch, from)) {
            if (read++ === 3) throw new DataError("The disk is gone");
            yield step;
          }
        },
      };
    };
    const { error } = await run(settings("data"), null, Number.POSITIVE_INFINITY, failing);
    expect(error).toMatchObject({ code: "ERR_DATA", hint: expect.stringContaining("its checkpoint is of step 3") });
    expect(finite(path("data", "weights/last.safetensors"))).toBe(true);
    expect(JSON.parse(readFileSync(path("data", "checkpoint/state.json"), "utf8")).progress.step).toBe(3);
  });
});

describe("a run that diverges", () => {
  it("says what, since when and what to do, and fails where it has no weights of before", async () => {
    const { warnings, events, error } = await run(settings("diverged", { lr: 1e6, lrEncoder: 1e6 }));
    expect(error).toMatchObject({
      code: "ERR_NUMERICS",
      message: expect.stringMatching(/diverged before it had weights to keep.* since step \d/),
      hint: expect.stringContaining("Lower `lr`"),
    });
    expect(warnings).toContainEqual(
      expect.stringMatching(/^\d+ of \d+ detections were not finite and count as none: the run diverged at step \d+/),
    );
    for (const event of events) if (event.type === "epoch") expect(event).toMatchObject({ best: false });
    expect(existsSync(path("diverged", "weights/best.safetensors"))).toBe(false);
    expect(summary("diverged")).toMatchObject({ stop_reason: "failed", best_epoch: null });
    expect(summary("diverged").error).toContain("diverged");
  });
});

describe("a run that diverges after an epoch", () => {
  it("keeps the weights of that epoch, and flags none of the later ones as the best", async () => {
    const where = join(folder, "later");
    await run(settings("later", { epochs: 3 }), null, 7);
    const files = ["weights/best.safetensors", "weights/last.safetensors"];
    const config = { ...resumeConfig(where), lr: 1e6, lrEncoder: 1e6 };
    const before = files.map((file) => readFileSync(path("later", file)));
    const { warnings, events } = await run(config, where);
    expect(warnings.join("\n")).toMatch(/detections were not finite.*Weights that were saved before stay/);
    for (const event of events) if (event.type === "epoch") expect(event).toMatchObject({ best: false });
    files.forEach((file, i) => {
      expect(readFileSync(path("later", file)).equals(before[i]), file).toBe(true);
    });
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { best_epoch: 1 } });
  });
});

describe("a run whose steps were skipped", () => {
  it("has failed where all of them were", async () => {
    const { error } = await run(settings("none", { bboxLossCoef: 1e300 }));
    expect(error).toMatchObject({
      code: "ERR_NUMERICS",
      message: expect.stringMatching(/^None of the 10 steps changed the weights.* since step 1$/),
    });
    expect(summary("none")).toMatchObject({ stop_reason: "failed", steps: 10, skipped_steps: 10 });
    // Continuing it does not make a success of it.
    const again = await run(resumeConfig(join(folder, "none")), join(folder, "none"));
    expect(again.error).toMatchObject({ code: "ERR_NUMERICS" });
  });

  it.each([0.05, 1])("warns where most of them were, with the share: 16-mixed, lr %f", async (lr) => {
    const { warnings } = await run(settings(`most-${lr}`, { precision: "16-mixed", lr, lrEncoder: lr, epochs: 4 }));
    expect(warnings).toContainEqual(expect.stringMatching(/^\d+ of \d+ steps \(\d+ %\) were skipped/));
  });
});

describe("rollback", () => {
  it.each([0.05, 6])("goes back to a healthy state in 16-mixed, until training works: lr %f", async (lr) => {
    const extra = { precision: "16-mixed", onNonFinite: "rollback", lr, lrEncoder: lr, epochs: 6 };
    const { events, warnings, error } = await run(settings(`rollback-${lr}`, extra));
    expect(error).toBe(null);
    expect(warnings).toContainEqual(expect.stringContaining("goes back to the state after step"));
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished" } });
    expect(finite(path(`rollback-${lr}`, "weights/last.safetensors"))).toBe(true);
  });
});

describe("skip_best_epochs of all epochs", () => {
  it("ends with the words that there are no best weights", async () => {
    const { warnings, events } = await run(settings("skip", { epochs: 1, skipBestEpochs: 1, runTest: true }));
    expect(warnings).toEqual([
      "There will be no best weights, since skip_best_epochs is 1 and epochs is 1",
      expect.stringMatching(/^There are no best weights, because skip_best_epochs \(1\) leaves out every epoch/),
      expect.stringMatching(/^run_test did not run/),
    ]);
    expect(events.at(-1)).toMatchObject({ best: null, last: expect.stringContaining("last.safetensors") });
  });
});

describe("a run whose files another program takes away", () => {
  /** Runs to the end, with an act after the epoch of that number. */
  async function disturbed(name: string, epoch: number, act: (dir: string) => void): Promise<Outcome> {
    const outcome: Outcome = { events: [], warnings: [], error: null };
    const stop = new Int32Array(new SharedArrayBuffer(4));
    try {
      for await (const event of train({ settings: settings(name), resume: null, stop }, squares(10))) {
        outcome.events.push(event);
        if (event.type === "epoch" && event.epoch === epoch) act(join(folder, name));
      }
    } catch (error) {
      outcome.error = error as Error;
    }
    return outcome;
  }

  it.each(["best", "last"])("names the %s weights, and does not call that divergence", async (which) => {
    const name = `no-${which}`;
    const { error, events } = await disturbed(name, 2, () => rmSync(path(name, `weights/${which}.safetensors`)));
    expect(error?.code).toBe("ERR_RUN_DIRECTORY");
    expect(error?.message).toBe(
      `${path(name, `weights/${which}.safetensors`)} is missing: it was moved or removed during the run`,
    );
    expect(events.some(({ type }) => type === "done")).toBe(false);
  });

  it.each([1, 2])("makes no folder anew that was moved away after epoch %i, and advises no resume", async (epoch) => {
    const name = `moved-${epoch}`;
    const { error } = await disturbed(name, epoch, (dir) => renameSync(dir, `${dir}-away`));
    expect(error?.code).toBe("ERR_RUN_DIRECTORY");
    expect(error?.hint ?? "").not.toContain("resume");
    expect(existsSync(join(folder, name))).toBe(false);
  });
});
