import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord } from "@rfdetr/amp";
import { loadSafetensors } from "@rfdetr/torch";
import { afterAll, describe, expect, it } from "vitest";
import { NumericsReader, numericsText, summarizeNumerics } from "../src/report/index.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { resumeConfig } from "../src/run/session/resume.js";
import type { OpenTrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "non-finite-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The squares, with a box that is not a number in the n-th batch that is read, `times` times over. */
function poisoned(nth: number, times: number): OpenTrainData {
  let read = 0;
  const open = squares(10);
  return async (...request) => {
    const data = await open(...request);
    return {
      ...data,
      async *steps(epoch, from) {
        for await (const step of data.steps(epoch, from)) {
          read++;
          if (read >= nth && times-- > 0) step[0].targets[0].boxes[0] = Number.NaN;
          yield step;
        }
      },
    };
  };
}

async function run(
  name: string,
  policy: string,
  data: OpenTrainData,
  extra: Record<string, unknown> = {},
): Promise<TrainEvent[]> {
  const settings = resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: join(folder, name),
    seed: 3,
    epochs: 2,
    batchSize: 2,
    monitorInterval: 0,
    onNonFinite: policy,
    ...extra,
  });
  const events: TrainEvent[] = [];
  for await (const event of train({ settings, resume: null, stop: new Int32Array(1) }, data)) events.push(event);
  return events;
}
const numerics = (name: string): string => readFileSync(join(folder, name, "numerics.jsonl"), "utf8");
/** What was said about steps; the matcher has a word of its own about such a batch. */
const warnings = (events: TrainEvent[]): string[] =>
  events.flatMap((event) =>
    event.type === "warning" && !event.message.startsWith("Some matching costs") ? [event.message] : [],
  );
const rates = (events: TrainEvent[]): number[] => events.flatMap((event) => (event.type === "step" ? [event.lr] : []));

describe("a batch that makes the loss not finite", () => {
  it("skip: costs its step, and the run ends as planned", async () => {
    const events = await run("skip", "skip", poisoned(7, 1));
    expect(events.at(-1)).toMatchObject({
      type: "done",
      summary: { stop_reason: "finished", steps: 10, skipped_steps: 1 },
    });
    expect(warnings(events)).toEqual([]);
    const skipped = events.filter((event) => event.type === "step" && event.fault !== null);
    expect(skipped).toEqual([
      expect.objectContaining({ step: 7, skipped: true, fault: expect.objectContaining({ scale: 1 }) }),
    ]);
  });

  it("stop: ends the run with the reason, keeps the state before it, and can be continued", async () => {
    const path = join(folder, "stop");
    await expect(run("stop", "stop", poisoned(7, 1))).rejects.toMatchObject({
      message: expect.stringMatching(/step 7 is not finite.* on_non_finite is stop/),
      hint: expect.stringContaining(`continue it with \`resume\` ${path}`),
    });
    expect(JSON.parse(readFileSync(join(path, "summary.json"), "utf8"))).toMatchObject({
      stop_reason: "failed",
      steps: 7,
      skipped_steps: 1,
    });
    expect(numerics("stop")).toContain('"kind":"overflow"');
    const events: TrainEvent[] = [];
    for await (const event of train(
      { settings: resumeConfig(path), resume: path, stop: new Int32Array(1) },
      squares(10),
    ))
      events.push(event);
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished", steps: 10 } });
  });

  it("rollback: takes up the last checkpoint with half the learning rate, says so, and does the undone steps again", async () => {
    const events = await run("rollback", "rollback", poisoned(8, 1));
    expect(warnings(events)).toEqual([
      expect.stringMatching(/step 8 is not finite.*back to the state after step 5, with 0.5 times/),
    ]);
    // Steps 6 to 8 were undone and five of the second epoch follow: each tried step has a number of its own.
    expect(events.at(-1)).toMatchObject({
      type: "done",
      summary: { stop_reason: "finished", epochs: 2, steps: 13, skipped_steps: 1 },
    });
    // The last step is known to be 13 as soon as the three are undone.
    const planned = events.flatMap((event) => (event.type === "step" ? [event.totalSteps] : []));
    expect(planned).toEqual([...Array<number>(8).fill(10), ...Array<number>(5).fill(13)]);
    const lr = rates(events);
    expect(lr.slice(8)).toEqual(lr.slice(5, 10).map(() => lr[4] / 2));
    expect(events.flatMap((event) => (event.type === "epoch" ? [event.lr] : []))).toEqual([lr[4], lr[12]]);
    const reader = new NumericsReader(join(folder, "rollback"));
    reader.read();
    const summary = summarizeNumerics(reader.record());
    expect(summary).toMatchObject({ faults: [], rollbacks: { entries: [{ step: 8, to_step: 5, lr_factor: 0.5 }] } });
    expect(numericsText(summary)).toMatch(/Step 8: back to the state after step 5, learning rates times 0.5/);
    const { tensors } = loadSafetensors(join(folder, "rollback", "checkpoint", "model.safetensors"));
    for (const [name, tensor] of tensors) expect(Number.isFinite(tensor.abs().sum().item()), name).toBe(true);
    for (const tensor of tensors.values()) tensor.dispose();
  });

  it("rollback: has a state to go back to from the first step on", async () => {
    const events = await run("first", "rollback", poisoned(2, 1));
    expect(warnings(events)).toEqual([expect.stringMatching(/back to the state after step 0/)]);
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { steps: 12, epochs: 2 } });
  });

  it("rollback: gives up when going back does not help, and leaves the run as it was before the fault", async () => {
    await expect(run("hopeless", "rollback", poisoned(7, 1000))).rejects.toThrow(
      /after going back 5 times in this epoch/,
    );
    expect(existsSync(join(folder, "hopeless", "checkpoint", "state.json"))).toBe(true);
    const factors = numerics("hopeless")
      .trim()
      .split("\n")
      .map(parseRecord)
      .filter(({ kind }) => kind === "rollback")
      .map((record) => record.lr_factor);
    expect(factors).toEqual([0.5, 0.05, 0.005, 0.0005, 0.00005]);
  });

  it("an overflow that the loss scale explains is skipped under every policy", async () => {
    // A scale this large overflows at once and comes down by half each step.
    const events = await run("scaled", "stop", squares(20), { precision: "16-mixed", scaler: { init: 2 ** 28 } });
    const skipped = events.filter((event) => event.type === "step" && event.skipped).length;
    expect(skipped).toBeGreaterThan(3);
    expect(events.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished" } });
  });
});

describe("settings of the loss scaler", () => {
  it("are those that the run scales with", async () => {
    const events = await run("scaler", "skip", squares(10), {
      precision: "16-mixed",
      epochs: 1,
      scaler: { init: 256, growth: 4, interval: 2 },
    });
    const scales = events.flatMap((event) => (event.type === "step" ? [event.lossScale] : []));
    // Shown after the step: grown fourfold after the second and the fourth.
    expect(scales).toEqual([256, 1024, 1024, 4096, 4096]);
  });

  it.each([
    [{ growth: 1 }, /an object of init .* growth \(above 1\)/],
    [{ init: 1e39 }, /both up to 3.4e38/],
    [{ init: 1e-60 }, /an object of init \(6e-8 or more\)/],
    [{ init: -1 }, /an object of init/],
    [{ init: Number.NaN }, /an object of init/],
    [{ init: Number.POSITIVE_INFINITY }, /an object of init/],
    [{ growth: 1e39 }, /both up to 3.4e38/],
    [{ bogus: 1 }, /an object of init/],
    [{ backoff: 2 }, /backoff \(between 0 and 1\)/],
  ])("%j is refused", (scaler, message) => {
    expect(() => resolveSettings({ datasetDir: "-", scaler })).toThrow(message);
  });
});

describe("the policy of a run", () => {
  it("takes rows from the settings, and records it", async () => {
    await run("policy", "skip", squares(10), {
      epochs: 1,
      precisionPolicy: "pytorch-cuda",
      precisionOperators: { gelu: "fp32" },
    });
    expect(parseRecord(numerics("policy").split("\n")[0])).toMatchObject({ policy: "pytorch-cuda, changed" });
  });

  it("refuses an operator that does not exist, with near matches, before anything is written", async () => {
    await expect(run("unknown", "skip", squares(10), { precisionOperators: { geluu: "fp32" } })).rejects.toThrow(
      /geluu; near it are gelu/,
    );
    expect(existsSync(join(folder, "unknown"))).toBe(false);
  });
});
