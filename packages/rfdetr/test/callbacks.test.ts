// A module of the user listens to a run, changes it, and is no reason why it could not be continued.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it } from "vitest";
import { openCallbacks, strayFailure } from "../src/run/callbacks/open-callbacks.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { type ResumeChanges, resumeConfig } from "../src/run/session/resume.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "callbacks-"));
afterAll(() => rmSync(folder, { recursive: true }));

function moduleFile(name: string, code: string): string {
  const path = join(folder, `${name}.mjs`);
  writeFileSync(path, code);
  return path;
}

/** Remembers how often it was called, and lets that decide about rate and precision. */
const recipe = (extra = "") => `
  let [steps, factor] = [0, 1];
  export default [{
    name: "decay",
    onEpochStart: ({ epoch }) => (epoch === 2 ? { lrFactor: (factor = factor / 2) } : undefined),
    async onStep({ step, loss, terms }) {
      steps++;
      ${extra}
      factor = 1 / (1 + steps);
      return {
        metrics: { steps, share: terms.loss_ce / loss },
        lrFactor: factor,
        ...(step === 4 ? { override: { pattern: "bbox_embed", rule: "fp32" } } : {}),
      };
    },
    onEvaluation: ({ summary }) => ({ metrics: { per_class: summary.per_class.length } }),
    onEpochEnd: ({ epoch, metrics }) => ({ metrics: { seen: metrics["decay/per_class"] + epoch } }),
    state: () => ({ steps, factor }),
    load: (state) => ({ steps, factor } = state),
  }, { name: "watch", onRunStart: ({ resumedAt }) => (globalThis.calls ??= []).push(resumedAt) && undefined,
    onCheckpoint: ({ step }) => globalThis.calls.push(step) && undefined,
    onRunEnd: ({ stop_reason }) => globalThis.calls.push(stop_reason) && undefined }];
`;

async function run(
  name: string,
  callbacks: string | null,
  { changes, stopAfter, epochs = 2 }: { changes?: ResumeChanges; stopAfter?: number; epochs?: number } = {},
): Promise<TrainEvent[]> {
  const path = join(folder, name);
  const settings =
    callbacks === null
      ? resumeConfig(path)
      : resolveSettings({
          datasetDir: "-",
          model: "tiny",
          outputDir: path,
          seed: 3,
          epochs,
          batchSize: 2,
          callbacks,
          precision: "bf16-mixed",
          monitorInterval: 0,
          plots: false,
          multiScale: false,
        });
  const stop = new Int32Array(1);
  const events: TrainEvent[] = [];
  const request = { settings, resume: callbacks === null ? path : null, stop, ...(changes && { changes }) };
  for await (const event of train(request, squares(10))) {
    events.push(event);
    if (event.type === "step" && event.step === stopAfter) stop[0] = 1;
  }
  return events;
}

const bytes = (name: string, file: string) => readFileSync(join(folder, name, file));
const json = (name: string, file: string) => JSON.parse(bytes(name, file).toString());
const calls = (): unknown[] => (globalThis as unknown as { calls: unknown[] }).calls.splice(0);
const columns = (name: string): Record<string, string>[] => {
  const [header, ...rows] = bytes(name, "metrics.csv").toString().trim().split("\n");
  return rows.map((row) => Object.fromEntries(row.split(",").map((cell, i) => [header.split(",")[i], cell])));
};

const of = <T extends TrainEvent["type"]>(events: TrainEvent[], type: T) =>
  events.filter((event): event is Extract<TrainEvent, { type: T }> => event.type === type);

describe("the callbacks of a run", () => {
  const decay = moduleFile("decay", recipe());

  it("record figures and change rate and precision, which a resume and a mended fault change in no bit", async () => {
    const events = await run("whole", decay);
    expect(calls()).toEqual([null, 0, 5, 10, "finished"]);
    const steps = of(events, "step");
    expect(steps.map(({ metrics }) => metrics?.["decay/steps"])).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    // The factor of a step counts from the next one; that of an epoch's start at once.
    expect(steps.slice(0, 6).map(({ lr }) => lr / 1e-4)).toEqual([1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 12].map(near));
    expect(of(events, "control").map(({ by, command, step }) => [by, command, step])).toContainEqual([
      ...["callback", "override"],
      4,
    ]);
    expect(of(events, "epoch")[1].metrics).toMatchObject({ "decay/steps": 8, "decay/per_class": 2, "decay/seen": 4 });
    expect(columns("whole").map((row) => [row["decay/steps"], row["decay/seen"]])).toEqual([
      ["3", "3"],
      ["8", "4"],
    ]);
    expect(json("whole", "config.json").callbacks_sha256).toMatch(/^[0-9a-f]{64}$/);

    await run("stopped", decay, { stopAfter: 3 });
    await run("stopped", null);
    expect(calls()).toEqual([null, 0, 3, "interrupted", 3, 5, 10, "finished"]);

    const faulty = moduleFile("faulty", recipe(`if (step === 7) throw new Error("the disk of the log is full");`));
    await expect(run("mended", faulty)).rejects.toMatchObject({
      code: "ERR_CUSTOM_CODE",
      message: "onStep of the callbacks decay failed: the disk of the log is full",
      hint: expect.stringContaining("its checkpoint is of step 5"),
    });
    expect(calls().at(-1)).toBe("failed");
    const stray = Object.assign(new Error("late"), {
      stack: `Error: late\n    at ${pathToFileURL(faulty).href}?run=1:1:7`,
    });
    expect(strayFailure(stray)).toMatchObject({
      code: "ERR_CUSTOM_CODE",
      message: `The callbacks in ${faulty} failed where the run does not wait for them: late`,
    });
    expect(strayFailure(new Error("elsewhere"))).toMatchObject({ message: "elsewhere" });
    expect(strayFailure("text")).toMatchObject({ code: "ERR_CUSTOM_CODE", message: expect.stringMatching(/: text$/) });
    moduleFile("faulty", recipe());
    const [{ message }] = of(await run("mended", null), "warning");
    expect(message).toContain(`The callbacks in ${faulty} have changed since the run began`);

    for (const name of ["stopped", "mended"]) {
      for (const file of ["checkpoint/model", "checkpoint/optimizer", "weights/best"])
        expect(bytes(name, `${file}.safetensors`).equals(bytes("whole", `${file}.safetensors`)), name).toBe(true);
      expect(columns(name).map((row) => row["decay/share"])).toEqual(columns("whole").map((row) => row["decay/share"]));
    }
  }, 30_000);

  it("are told to change what follows the last step only where the run trains on", async () => {
    const late = moduleFile("late", "export default { onStep: ({ step }) => ({ lrFactor: 1 / (1 + step) }) };");
    const messages = of(await run("late", late, { epochs: 1 }), "control").map(({ message }) => message);
    expect(messages.at(-2)).toBe("From step 5 on, late multiplies the learning rate by 0.2");
    expect(messages.at(-1)).toMatch(/^Where the run trains on, from step 6 on, late multiplies the learning rate by/);
  });

  it("end a run with a reason, which may train on afterwards", async () => {
    const stopping = moduleFile(
      "stopping",
      `export default { onStep: ({ step }) => step === 2 && { stop: "enough" } };`,
    );
    await expect(run("wrong", stopping)).rejects.toThrow("The answer of onStep of the callbacks stopping is wrong");
    moduleFile("stopping", `export default { onStep: ({ step }) => (step === 2 ? { stop: "enough" } : null) };`);
    const events = await run("ended", stopping);
    expect(of(events, "done")[0].summary).toMatchObject({
      stop_reason: "callback",
      stop_message: "stopping: enough",
      steps: 2,
      epochs: 1,
    });
    expect(json("ended", "summary.json").stop_message).toBe("stopping: enough");
    expect(of(events, "epoch")).toMatchObject([{ ap: expect.any(Number) }]);
    expect(of(events, "control")[0].message).toBe("stopping ends the run after step 2: enough");
    expect((await run("ended", null)).at(-1)).toMatchObject({ endedBefore: true });
    const more = await run("ended", null, { changes: { epochs: 2, callbacks: null } });
    expect(of(more, "done")[0].summary).toMatchObject({ stop_reason: "finished", epochs: 2 });
    expect(json("ended", "config.json").settings.callbacks).toBeNull();
  });
});

/** A number that is nearly this one. */
function near(value: number): unknown {
  return expect.closeTo(value, 9);
}

describe("a module that has no callbacks", () => {
  it.each([
    ["export const a = 1;", "Expected callbacks as the default export of"],
    ["export default 5;", "Expected an object of callbacks, or a list of them,"],
    ["export default { onStpe() {} };", "but found onStpe: did you mean onStep?"],
    ["export default class { static onStep = 1 };", "Expected an object of callbacks"],
    ["export default { onStep: 1 };", "Expected a function for onStep"],
    ["export default { state: () => 1 };", "Expected both state and load, or neither"],
    ['export default { name: "train" };', "Expected a name of letters"],
    ["export default [{}, {}];", "of different names"],
    ["export default (;", "cannot be loaded"],
  ])("is refused: %s", async (code, message) => {
    await expect(openCallbacks(moduleFile("bad", code))).rejects.toMatchObject({
      code: "ERR_CUSTOM_CODE",
      message: expect.stringContaining(message),
    });
  });

  it("is refused where it is not there", async () => {
    await expect(openCallbacks(join(folder, "none.mjs"))).rejects.toThrow("none.mjs cannot be read: there is no such");
  });
});

describe("the state of callbacks", () => {
  it("is what JSON keeps as it is", async () => {
    const path = moduleFile("state", "export default { state: () => new Map(), load() {} };");
    const { runner } = await openCallbacks(path);
    expect(() => runner.saved()).toThrow("Expected a state that JSON keeps as it is of the callbacks state");
  });

  it("is refused by the name of its callbacks where it contains itself, and missed where they have another name", async () => {
    const { runner } = await openCallbacks(
      moduleFile("loop", 'const a = {}; a.a = a; export default { name: "loop", state: () => a, load() {} };'),
    );
    expect(() => runner.saved()).toThrow("state of the callbacks loop failed: Converting circular structure");
    const saved = { states: { loop: 1, before: 2 }, lrFactors: { slower: 0.5 }, stopped: null };
    expect(runner.missing(saved)).toEqual(["before", "slower"]);
  });

  it("keeps a method to its object", async () => {
    const code = `class Count { n = 0; onStep() { return { metrics: { n: ++this.n } }; } state() { return this.n; }
      load(n) { this.n = n; } }
      export default new Count();`;
    const { runner } = await openCallbacks(moduleFile("count", code));
    runner.load({ states: { count: 4 }, lrFactors: { count: 0.5, gone: 7 }, stopped: null });
    expect(await runner.step({} as never)).toEqual({ "count/n": 5 });
    expect(runner.saved()).toEqual({ states: { count: 5 }, lrFactors: { count: 0.5 }, stopped: null });
  });
});
