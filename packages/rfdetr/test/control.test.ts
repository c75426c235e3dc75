// Commands to a running run: what they change, and that a run with changes has the bits of one that is resumed or
// repeated.
import { chownSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseRecord } from "@rfdetr/amp";
import { afterAll, describe, expect, it, vi } from "vitest";
import { type ControlAnswer, type ControlCommand, controlState, requestControl } from "../src/run/control/control.js";
import type { ControlEvent, TrainEvent } from "../src/run/events/events.js";
import type { StepRecord } from "../src/run/files/numerics/numerics-records.js";
import { resumeConfig } from "../src/run/session/resume.js";
import type { OpenTrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import type { TrainSettings } from "../src/settings/settings.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "control-"));
afterAll(() => rmSync(folder, { recursive: true }));

const path = (name: string): string => join(folder, name);
const settings = (name: string, extra: Record<string, unknown> = {}): TrainSettings =>
  resolveSettings({
    datasetDir: "-",
    model: "tiny",
    outputDir: path(name),
    seed: 3,
    epochs: 2,
    batchSize: 2,
    precision: "bf16-mixed",
    monitorInterval: 0,
    ...extra,
  });

const decoder: ControlCommand = { command: "override", pattern: "transformer.decoder", rule: "fp32" };

interface Plan {
  /** What is asked for right after a step. */
  commands?: Record<number, ControlCommand>;
  /** The step after which the process is gone, without a farewell. */
  killAfter?: number;
  resume?: string | null;
}

/** Runs until the end. @returns its events and the answers to the commands */
async function run(
  config: TrainSettings,
  { commands = {}, killAfter, resume = null }: Plan = {},
): Promise<{ events: TrainEvent[]; answers: ControlAnswer[] }> {
  const events: TrainEvent[] = [];
  const answers: Promise<ControlAnswer>[] = [];
  let dir = "";
  for await (const event of train({ settings: config, resume, stop: new Int32Array(1) }, squares(10))) {
    events.push(event);
    if (event.type === "start") dir = event.dir;
    if (event.type !== "step") continue;
    if (event.step === killAfter) break;
    const command = commands[event.step];
    if (command !== undefined) answers.push(requestControl(dir, command));
  }
  return { events, answers: await Promise.all(answers) };
}

const resumed = (name: string, plan: Plan = {}) => run(resumeConfig(path(name)), { ...plan, resume: path(name) });
const bytes = (name: string, file: string): Buffer => readFileSync(join(path(name), file));
const config = (name: string): { settings: Record<string, unknown> } =>
  JSON.parse(bytes(name, "config.json").toString());
const records = (name: string) => bytes(name, "numerics.jsonl").toString().trim().split("\n").map(parseRecord);
const told = (events: TrainEvent[]): ControlEvent[] => events.filter((event) => event.type === "control");

/** @param part what is compared of a file of weights: its metadata have the overrides of their run */
function expectSameBits(name: string, other: string, part: (weights: Buffer) => Buffer = (all) => all): void {
  const state = ["model", "optimizer", "ema"].map((part) => `checkpoint/${part}.safetensors`);
  for (const file of state)
    expect(bytes(name, file).equals(bytes(other, file)), `${file} of ${name} and ${other}`).toBe(true);
  for (const file of ["weights/last.safetensors", "weights/best.safetensors"])
    expect(part(bytes(name, file)).equals(part(bytes(other, file))), `${file} of ${name} and ${other}`).toBe(true);
  const losses = (of: string) =>
    records(of).flatMap((record) => (record.kind === "step" ? [(record as unknown as StepRecord).loss] : []));
  expect(losses(name)).toEqual(losses(other));
}

describe("an override that a command sets while the run trains", () => {
  it("holds from the next step, and the run has the bits of one that is stopped, killed or repeated", async () => {
    await run(settings("plain"));
    // The second epoch begins with step 6, and the checkpoint before it is of step 5.
    const commands = { 3: decoder, 7: { command: "override", pattern: "class_embed", rule: "fp32" } } as const;
    const { events, answers } = await run(settings("whole"), { commands });
    expect(answers).toMatchObject([
      { accepted: true, step: 3, overrides: { "transformer.decoder": "fp32" }, undoable: 1 },
      { accepted: true, step: 7, overrides: { "transformer.decoder": "fp32", class_embed: "fp32" }, undoable: 2 },
    ]);
    expect(answers[0].message).toBe("From step 4 on, the rule of transformer.decoder is fp32");
    expect(told(events)).toMatchObject([
      { command: "override", by: "command", step: 3, pattern: "transformer.decoder", rule: "fp32", paused: false },
      { command: "override", by: "command", step: 7, pattern: "class_embed", rule: "fp32" },
    ]);
    const changes = [
      { step: 4, pattern: "transformer.decoder", rule: "fp32" },
      { step: 8, pattern: "class_embed", rule: "fp32" },
    ];
    expect(config("whole").settings.precision_changes).toEqual(changes);
    expect(records("whole").filter(({ kind }) => kind === "control")).toMatchObject([
      { step: 3, command: "override", by: "command", overrides: { "transformer.decoder": "fp32" } },
      { step: 7, command: "override", by: "command" },
    ]);
    expect(bytes("whole", "log.txt").toString()).toContain("From step 4 on, the rule of transformer.decoder is fp32");
    expect(bytes("plain", "weights/last.safetensors").equals(bytes("whole", "weights/last.safetensors"))).toBe(false);

    await run(settings("stopped"), { commands: { ...commands, 8: { command: "stop" } } });
    await resumed("stopped");
    expectSameBits("stopped", "whole");

    // Killed before its first checkpoint after the change, and once more: the changes are made again at their steps.
    await run(settings("killed"), { commands, killAfter: 4 });
    await resumed("killed", { commands: { 7: commands[7] }, killAfter: 9 });
    const { events: last } = await resumed("killed");
    expectSameBits("killed", "whole");
    expect(told(last)).toMatchObject([{ command: "override", by: "settings", step: 7, pattern: "class_embed" }]);
    expect(records("killed").filter(({ kind }) => kind === "control")).toHaveLength(2);

    await run(resolveSettings({ ...config("whole").settings, output_dir: path("repeated") }));
    expectSameBits("repeated", "whole");
  });

  it("is taken back by undo, one after the other", async () => {
    const undo: ControlCommand = { command: "undo" };
    const commands = { 2: decoder, 4: undo, 6: undo };
    const { answers } = await run(settings("undone"), { commands });
    expect(answers).toMatchObject([
      { accepted: true, undoable: 1 },
      { accepted: true, overrides: {}, undoable: 0 },
      { accepted: false, message: "There is no override to take back: none was set since the run began" },
    ]);
    expect(config("undone").settings.precision_changes).toEqual([
      { step: 3, pattern: "transformer.decoder", rule: "fp32" },
      { step: 5, undo: true },
    ]);
    // From step 5 on the run is one whose decoder had the rule for two steps only.
    const two = [
      { step: 3, pattern: "transformer.decoder", rule: "fp32" },
      { step: 5, pattern: "transformer.decoder", rule: "policy" },
    ];
    await run(settings("two", { precisionChanges: two }));
    const tensors = (weights: Buffer) => weights.subarray(8 + Number(weights.readBigUInt64LE()));
    expectSameBits("undone", "two", tensors);
  });

  it("is refused with a sentence where it cannot be", async () => {
    const misspelt: ControlCommand = { command: "override", pattern: "transformer.decodr", rule: "fp32" };
    const { answers, events } = await run(settings("refused", { epochs: 1 }), {
      commands: { 1: misspelt, 2: { command: "go-on" }, 3: { command: "undo" } },
    });
    expect(answers.map(({ accepted }) => accepted)).toEqual([false, false, false]);
    expect(answers[0].message).toMatch(
      /^Expected a pattern that matches a module .*transformer\.decodr, which matches none/,
    );
    expect(answers[1].message).toBe("The run is not paused");
    expect(told(events)).toEqual([]);
    const float32 = await run(settings("float32", { epochs: 1, precision: "32-true" }), { commands: { 1: decoder } });
    expect(float32.answers[0]).toMatchObject({ accepted: false, message: expect.stringContaining("32-true") });
  });
});

describe("a paused run", () => {
  it("waits with a checkpoint, obeys commands, goes on, and has the bits of one that was not paused", async () => {
    const events = train({ settings: settings("paused"), resume: null, stop: new Int32Array(1) }, squares(10));
    const dir = path("paused");
    let waited: Promise<void> | null = null;
    let step = 0;
    const meanwhile = async (): Promise<void> => {
      expect(await requestControl(dir, { command: "pause" })).toMatchObject({ accepted: true, paused: true, step: 4 });
      expect(JSON.parse(bytes("paused", "checkpoint/state.json").toString()).progress.step).toBe(4);
      expect(controlState(dir)).toMatchObject({ paused: true, step: 4 });
      const again = await requestControl(dir, { command: "pause" });
      expect(again).toMatchObject({ accepted: false, message: "The run is paused already, after step 4" });
      expect(await requestControl(dir, decoder)).toMatchObject({ accepted: true, paused: true });
      expect(await requestControl(dir, { command: "undo" })).toMatchObject({ accepted: true, overrides: {} });
      expect(step).toBe(4);
      expect(await requestControl(dir, { command: "go-on" })).toMatchObject({ accepted: true, paused: false });
    };
    for await (const event of events)
      if (event.type === "step") {
        step = event.step;
        if (step === 4) waited = meanwhile();
      }
    await waited;
    expect(step).toBe(10);
    await run(settings("unpaused"));
    expectSameBits("paused", "unpaused");
  });

  it("saves and ends when it is asked to, as any other", async () => {
    const stop = new Int32Array(1);
    const seen: TrainEvent[] = [];
    for await (const event of train({ settings: settings("ended"), resume: null, stop }, squares(10))) {
      seen.push(event);
      if (event.type === "step" && event.step === 3)
        requestControl(path("ended"), { command: "pause" }).catch(() => {});
      if (event.type === "control") setTimeout(() => Atomics.store(stop, 0, 1), 200);
    }
    expect(told(seen)).toMatchObject([{ command: "pause", paused: true, message: "The run is paused after step 3" }]);
    expect(seen.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "interrupted", steps: 3 } });
    await resumed("ended");
    await run(settings("unended"));
    expectSameBits("ended", "unended");
  });
});

describe("a run that evaluates", () => {
  it("stops at once when a command asks for it, and tells so", async () => {
    const seen: TrainEvent[] = [];
    let asked: Promise<ControlAnswer> | null = null;
    const asking: OpenTrainData = async (...given) => {
      const data = await squares(10)(...given);
      return {
        ...data,
        async *evaluation(...which) {
          for await (const batch of data.evaluation(...which)) {
            yield batch;
            asked ??= requestControl(path("evaluating"), { command: "stop" });
          }
        },
      };
    };
    const request = { settings: settings("evaluating"), resume: null, stop: new Int32Array(1) };
    for await (const event of train(request, asking)) seen.push(event);
    expect(await asked).toMatchObject({ accepted: true, message: "The run saves and ends after step 5" });
    expect(told(seen)).toMatchObject([{ command: "stop", step: 5 }]);
    expect(seen.filter(({ type }) => type === "epoch")).toEqual([]);
    expect(seen.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "interrupted", steps: 5 } });
    await resumed("evaluating");
    await run(settings("uninterrupted"));
    expectSameBits("evaluating", "uninterrupted");
  });
});

describe("the folder of commands", () => {
  it("belongs to the user of the run alone, and is gone with it", async () => {
    const modes: number[] = [];
    for await (const event of train(
      { settings: settings("modes", { epochs: 1 }), resume: null, stop: new Int32Array(1) },
      squares(10),
    ))
      if (event.type === "start")
        for (const file of ["control", "control/state.json"])
          modes.push(statSync(join(path("modes"), file)).mode & 0o777);
    expect(modes).toEqual([0o700, 0o600]);
    expect(readdirSync(path("modes"))).not.toContain("control");
    expect(controlState(path("modes"))).toBeNull();
    await expect(requestControl(path("modes"), { command: "stop" })).rejects.toThrow(/Expected a run in progress/);
  });

  it("holds nothing that a later process of the run obeys", async () => {
    const { events } = await run(settings("stale"), { commands: { 1: { command: "stop" } } });
    expect(told(events)).toHaveLength(1);
    // What a kill leaves: the folder with a command that was never taken, for a session that is over.
    const old = { command: "stop", id: "00000000000001-x", session: "an earlier one" };
    const leave = (): void =>
      writeFileSync(join(path("stale"), "control", `request-${old.id}.json`), JSON.stringify(old));
    mkdirSync(join(path("stale"), "control"));
    leave();
    const folderAsRequest = join(path("stale"), "control", "request-folder.json");
    const { resume, ...again } = { resume: path("stale"), settings: resumeConfig(path("stale")) };
    const seen: TrainEvent[] = [];
    for await (const event of train({ ...again, resume, stop: new Int32Array(1) }, squares(10))) {
      seen.push(event);
      // Another arrives late, from who has read the state of the earlier process.
      if (event.type === "step" && event.step === 4) {
        leave();
        mkdirSync(join(folderAsRequest, "x"), { recursive: true });
      }
    }
    expect(told(seen)).toEqual([]);
    expect(readdirSync(path("stale"))).not.toContain("control");
    expect(seen.at(-1)).toMatchObject({ type: "done", summary: { stop_reason: "finished", steps: 10 } });
  });

  it.runIf(process.getuid?.() === 0)("holds nothing of other users that the run obeys", async () => {
    const dir = path("foreign");
    const seen: TrainEvent[] = [];
    for await (const event of train(
      { settings: settings("foreign", { epochs: 1 }), resume: null, stop: new Int32Array(1) },
      squares(10),
    )) {
      seen.push(event);
      if (event.type !== "step" || event.step !== 2) continue;
      const { session } = JSON.parse(readFileSync(join(dir, "control", "state.json"), "utf8"));
      const file = join(dir, "control", "request-1.json");
      writeFileSync(file, JSON.stringify({ command: "stop", id: "1", session }));
      chownSync(file, 1, 1);
    }
    expect(told(seen)).toEqual([]);
    expect(seen.at(-1)).toMatchObject({ type: "done", summary: { steps: 5 } });
  });

  it("forgets a command that is taken back before the run has seen it", async () => {
    const dir = path("withdrawn");
    const controller = new AbortController();
    let asked: Promise<ControlAnswer> | null = null;
    for await (const event of train(
      { settings: settings("withdrawn", { epochs: 1 }), resume: null, stop: new Int32Array(1) },
      squares(10),
    )) {
      if (event.type !== "start") continue;
      asked = requestControl(dir, { command: "stop" }, { signal: controller.signal });
      asked.catch(() => {});
      controller.abort();
      await vi.waitUntil(() => readdirSync(join(dir, "control")).every((name) => !name.startsWith("request-")));
    }
    await expect(asked).rejects.toThrow(/abort/i);
    expect(JSON.parse(bytes("withdrawn", "summary.json").toString())).toMatchObject({
      steps: 5,
      stop_reason: "finished",
    });
  });
});
