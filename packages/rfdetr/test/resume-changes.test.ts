// What may change between the parts of a run, and what may not.
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { TrainEvent } from "../src/run/events/events.js";
import { type ResumeChanges, resumeConfig } from "../src/run/session/resume.js";
import type { OpenTrainData, TrainData } from "../src/run/session/training-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { DataError } from "../src/support/errors.js";
import { squares } from "./squares.js";

const folder = mkdtempSync(join(tmpdir(), "changes-"));
afterAll(() => rmSync(folder, { recursive: true }));

type Done = Extract<TrainEvent, { type: "done" }>;

async function run(
  name: string,
  {
    changes,
    extra = {},
    data = squares(10),
    stopAfter,
  }: {
    changes?: ResumeChanges;
    extra?: Record<string, unknown>;
    data?: OpenTrainData;
    stopAfter?: number;
  },
): Promise<TrainEvent[]> {
  const path = join(folder, name);
  const settings =
    changes === undefined
      ? resolveSettings({
          datasetDir: "-",
          model: "tiny",
          outputDir: path,
          seed: 3,
          epochs: 2,
          batchSize: 2,
          precision: "32-true",
          monitorInterval: 0,
          multiScale: false,
          ...extra,
        })
      : resumeConfig(path);
  const stop = new Int32Array(1);
  const events: TrainEvent[] = [];
  const request = { settings, resume: changes === undefined ? null : path, changes, stop };
  for await (const event of train(request, data)) {
    events.push(event);
    if (event.type === "step" && event.step === stopAfter) stop[0] = 1;
  }
  return events;
}

const json = (name: string, file: string) => JSON.parse(readFileSync(join(folder, name, file), "utf8"));
const doneOf = (events: TrainEvent[]) => events.at(-1) as Done;
const notes = (events: TrainEvent[]) => events.flatMap((event) => (event.type === "note" ? [event.message] : []));
const stepsOf = (events: TrainEvent[]) => events.flatMap((event) => (event.type === "step" ? [event.step] : []));

/** The squares, with something about the data changed. */
const changed =
  (changes: (data: TrainData) => Partial<TrainData>, images = 10): OpenTrainData =>
  async (...request) => {
    const data = await squares(images)(...request);
    return { ...data, ...changes(data) };
  };

beforeAll(async () => {
  await run("ended", {});
  await run("stopped", { stopAfter: 3 });
});

describe("a run that has ended", () => {
  it("says so, trains nothing and needs no data", async () => {
    const events = await run("ended", { changes: {}, data: () => Promise.reject(new Error("no data")) });
    expect(events).toHaveLength(1);
    expect(doneOf(events)).toMatchObject({ endedBefore: true, summary: { stop_reason: "finished", epochs: 2 } });
  });

  it("trains on when it is asked for more epochs, as long as it takes, also when it is killed meanwhile", async () => {
    expect(stepsOf(await run("ended", { changes: { epochs: 4 }, stopAfter: 12 }))).toEqual([11, 12]);
    const events = await run("ended", { changes: {} });
    expect(stepsOf(events)).toEqual([13, 14, 15, 16, 17, 18, 19, 20]);
    expect(doneOf(events)).toMatchObject({ endedBefore: false, summary: { stop_reason: "finished", epochs: 4 } });
    expect(json("ended", "config.json")).toMatchObject({
      settings: { epochs: 4 },
      changes: [{ step: 10, settings: { epochs: [2, 4] }, data: [] }],
    });
  });

  it("cannot have fewer epochs than it has trained", async () => {
    await expect(run("ended", { changes: { epochs: 1 } })).rejects.toThrow(
      /^Expected more epochs than the run has trained, \d, but received 1$/,
    );
  });

  it("by max_steps trains on when that is raised, and says so when it is not", async () => {
    await run("short", { extra: { maxSteps: 3 } });
    await expect(run("short", { changes: { epochs: 5 } })).rejects.toMatchObject({
      message: "The run ended after max_steps = 3 steps",
      hint: "Raise `max_steps` as well to train on",
    });
    expect(stepsOf(await run("short", { changes: { maxSteps: 6 } }))).toEqual([4, 5, 6]);
  });

  it("by its time trains on when it gets more, and says what is missing when it does not", async () => {
    // No step takes so little: the run ends after the first.
    const short = { extra: { timeBudget: 1e-6, epochs: 2 } };
    expect(doneOf(await run("timed", short)).summary).toMatchObject({
      stop_reason: "time_budget",
      steps: 1,
      epochs: 1,
    });
    await expect(run("timed", { changes: { timeBudget: 1e-5 } })).rejects.toThrow(
      /^Expected a time_budget above the \d+ seconds that the run has used but received 0.00001$/,
    );
    await expect(run("timed", { changes: { epochs: 3 } })).rejects.toMatchObject({
      message: expect.stringMatching(/^The run ended after its time_budget of 0.000001 seconds, and has used \d+$/),
      hint: "Raise `time_budget` as well to train on",
    });
    const longer = doneOf(await run("timed", { changes: { timeBudget: 3600 } }));
    expect(longer.summary).toMatchObject({ stop_reason: "finished", epochs: 2 });

    await run("last", { extra: { timeBudget: 1e-6, epochs: 1 } });
    await expect(run("last", { changes: { timeBudget: 3600 } })).rejects.toMatchObject({
      message: "The run ended in the last of its epochs, 1",
      hint: "Raise `epochs` as well to train on",
    });
  });

  it("is planned anew when it was interrupted and gets another time", async () => {
    await run("interrupted", { extra: { timeBudget: 3600, epochs: 2 }, stopAfter: 2 });
    await expect(run("interrupted", { changes: { timeBudget: 1e-5 } })).rejects.toThrow("Expected a time_budget above");
    const done = doneOf(await run("interrupted", { changes: { timeBudget: null } }));
    expect(done.summary).toMatchObject({ stop_reason: "finished", epochs: 2 });
  });

  it("by early stopping waits anew before it stops again", async () => {
    const extra = { earlyStopping: true, earlyStoppingPatience: 1, earlyStoppingMinDelta: 1, epochs: 9 };
    const { summary } = doneOf(await run("early", { extra }));
    expect(summary).toMatchObject({ stop_reason: "early_stopping", epochs: 2 });
    const again = doneOf(await run("early", { changes: { epochs: 9 } }));
    expect(again.summary.epochs).toBeGreaterThan(2);
  });
});

describe("a run that is to keep its moments otherwise", () => {
  it("converts those of its checkpoint, there and back, and says so", async () => {
    await run("moments", { stopAfter: 3 });
    const bytes = () => statSync(join(folder, "moments", "checkpoint", "optimizer.safetensors")).size;
    const plain = bytes();
    const said = notes(await run("moments", { changes: { optimizerState: "8bit" }, stopAfter: 5 }));
    expect(said).toContainEqual(expect.stringContaining("optimizer_state float32 → 8bit"));
    expect(bytes()).toBeLessThan(0.35 * plain);
    expect(json("moments", "config.json").settings.optimizer_state).toBe("8bit");
    expect(stepsOf(await run("moments", { changes: { optimizerState: "float32" } }))).toEqual([6, 7, 8, 9, 10]);
    expect(bytes()).toBe(plain);
  });
});

describe("a run whose last checkpoint", () => {
  const warnings = (events: TrainEvent[]) =>
    events.flatMap((event) => (event.type === "warning" ? [event.message] : []));
  const place = (name: string) => join(folder, "lost", name);

  it("is gone or damaged continues from the one before, to the same weights, and says so", async () => {
    await run("whole", {});
    await run("lost", { stopAfter: 7 });
    renameSync(place("checkpoint"), place("aside"));
    expect(warnings(await run("lost", { changes: {}, stopAfter: 6 }))).toEqual([
      "The last checkpoint is missing: the run continues from the one before, of step 5",
    ]);
    truncateSync(place("checkpoint/model.safetensors"), 100);
    expect(warnings(await run("lost", { changes: {} }))).toEqual([
      expect.stringMatching(
        /model\.safetensors does not have the bytes .* from the one before, of step 5; the damaged/,
      ),
    ]);
    const last = (name: string) => readFileSync(join(folder, name, "weights", "last.safetensors"));
    expect(last("lost").equals(last("whole"))).toBe(true);
  });

  it("is damaged beside a damaged one before ends with both named, and the weights that remain", async () => {
    for (const name of ["checkpoint", "checkpoint.previous"]) {
      cpSync(join(folder, "stopped", "checkpoint"), place(name), { recursive: true });
      writeFileSync(place(`${name}/state.json`), "{}");
    }
    await expect(run("lost", { changes: {} })).rejects.toMatchObject({
      code: "ERR_CHECKPOINT",
      message: expect.stringMatching(/checkpoint\/state\.json.*; nor the one before it: .*checkpoint\.previous\/state/),
      hint: `Start a new run from its weights with \`weights\` ${place("weights/last.safetensors")}`,
    });
  });
});

describe("a run whose config.json was edited after its checkpoint", () => {
  const edit = (settings: Record<string, unknown>, more: Record<string, unknown> = {}) => {
    cpSync(join(folder, "stopped"), join(folder, "edited"), { recursive: true });
    const config = json("edited", "config.json");
    const text = JSON.stringify({ ...config, settings: { ...config.settings, ...settings }, ...more });
    writeFileSync(join(folder, "edited", "config.json"), text);
  };
  const warnings = (events: TrainEvent[]) =>
    events.flatMap((event) => (event.type === "warning" ? [event.message] : []));

  it("goes on with what may change, and says what was and is", async () => {
    edit({ lr: 0.9001 });
    const events = await run("edited", { changes: {}, stopAfter: 4 });
    expect(warnings(events)).toContainEqual(
      `Settings in ${join(folder, "edited", "config.json")} have changed since the checkpoint: ` +
        "lr was 0.0001 and is 0.9001. The run goes on with them as they are now",
    );
    edit({ lr: 0.9001 });
    expect(warnings(await run("edited", { changes: { lr: 0.0001 }, stopAfter: 4 }))).toEqual([]);
  });

  it("is refused where a setting may not change, with both values", async () => {
    for (const [settings, more, words] of [
      [{ batch_size: 3, weight_decay: 0.5 }, {}, "batch_size was 2 and is 3; weight_decay was 0.0001 and is 0.5"],
      [{}, { seed: 4 }, "seed was 3 and is 4"],
    ] as const) {
      edit(settings, more);
      await expect(run("edited", { changes: {} })).rejects.toMatchObject({
        code: "ERR_RUN_DIRECTORY",
        message: expect.stringContaining(`have changed since the checkpoint: ${words}`),
      });
    }
  });
});

describe("a run in progress", () => {
  it("cannot be continued by another, which leaves it alone", async () => {
    const again = () => run("stopped", { changes: {} });
    const first = train(
      { settings: resumeConfig(join(folder, "stopped")), resume: join(folder, "stopped"), stop: new Int32Array(1) },
      squares(10),
    );
    for await (const { type } of first) {
      if (type !== "step") continue;
      await expect(again()).rejects.toThrow(/^The run .*stopped is in progress \(pid \d+ on .* since .*Z\)$/);
      break;
    }
    expect(existsSync(join(folder, "stopped", "lock"))).toBe(false);
  });
});

describe("the data of a run", () => {
  it("are found where they were, or in the same place beside the run", () => {
    const path = join(folder, "stopped", "config.json");
    const whole = readFileSync(path, "utf8");
    const config = JSON.parse(whole);
    const at = (absolute: string) => {
      const data = { ...config.data, path: absolute, relative: "../data" };
      writeFileSync(
        path,
        JSON.stringify({ ...config, settings: { ...config.settings, dataset_dir: "somewhere" }, data }),
      );
      return resumeConfig(join(folder, "stopped")).datasetDir;
    };
    for (const name of ["data", "elsewhere"]) mkdirSync(join(folder, name));
    expect(at(join(folder, "elsewhere"))).toBe(join(folder, "elsewhere"));
    expect(at("/nowhere/at/all")).toBe(join(folder, "data"));
    rmSync(join(folder, "data"), { recursive: true });
    expect(at("/nowhere/at/all")).toBe("somewhere");
    writeFileSync(path, whole);
  });

  it("keep the name that the user gave them where it leads there", () => {
    const path = join(folder, "stopped", "config.json");
    const whole = readFileSync(path, "utf8");
    const config = JSON.parse(whole);
    const given = relative(process.cwd(), join(folder, "given"));
    mkdirSync(given);
    const data = { ...config.data, path: resolve(given) };
    writeFileSync(path, JSON.stringify({ ...config, settings: { ...config.settings, dataset_dir: given }, data }));
    expect(resumeConfig(join(folder, "stopped")).datasetDir).toBe(given);
    writeFileSync(path, whole);
  });

  it("that are gone can be named in another place", async () => {
    const gone = () => Promise.reject(new DataError("Expected a dataset folder but - does not exist"));
    await expect(run("stopped", { changes: {}, data: gone })).rejects.toMatchObject({
      hint: "If the data of the run have moved, name their new place with `dataset_dir`",
    });
  });
});

describe("a run that is continued", () => {
  it("with another learning rate has it from its next step on, and says so", async () => {
    const events = await run("stopped", { changes: { lr: 1e-5 }, stopAfter: 5 });
    const rates = events.flatMap((event) => (event.type === "step" ? [event.lr] : []));
    expect(rates).toEqual([1e-5, 1e-5]);
    expect(notes(events)).toEqual([
      "Changed since the run began or was last continued: lr 0.0001 → 0.00001. The learning rate is 0.00001 now",
    ]);
    expect(notes(await run("stopped", { changes: {}, stopAfter: 6 }))).toEqual([]);
  });

  it.each([
    ["renamed", ["red", "green"]],
    ["in another order", ["blue", "red"]],
    ["more", ["red", "blue", "green"]],
  ])("on classes that are %s is refused with both lists", async (_, classNames) => {
    const data = changed(() => ({ classNames }));
    for (const changes of [{}, { datasetDir: "-" }])
      await expect(run("stopped", { changes, data })).rejects.toThrow(
        `Expected the classes of the run, red, blue, in - but found ${classNames.join(", ")}`,
      );
  });

  it("on fewer images is refused, unless the data are named again; then it goes on and says what changed", async () => {
    const data = changed((now) => ({ contents: { ...now.contents, valid: squaresContents(10) } }), 8);
    await expect(run("stopped", { changes: {}, data })).rejects.toMatchObject({
      code: "ERR_DATA",
      message: "The data of the run in - have changed: train had 10 images with 20 objects and has 8 with 16",
      hint: expect.stringContaining("`dataset_dir`"),
    });
    const events = await run("stopped", { changes: { datasetDir: "-" }, data });
    expect(notes(events)[0]).toContain("train had 10 images with 20 objects and has 8 with 16");
    expect(doneOf(events).summary).toMatchObject({ stop_reason: "finished", epochs: 2 });
    expect(json("stopped", "config.json").changes.at(-1).data).toHaveLength(1);
  });

  it("has a configuration that is checked value by value", () => {
    const path = join(folder, "stopped", "config.json");
    const whole = readFileSync(path, "utf8");
    for (const [changes, message] of [
      [{ seed: "x" }, 'Expected a number for seed but received "x"'],
      [{ settings: null }, "Expected an object for settings but received null"],
      [{ settings: { dataset_dir: "d", future_setting: 1 } }, "cannot be used: Expected a known setting"],
    ] as const) {
      writeFileSync(path, JSON.stringify({ ...JSON.parse(whole), ...changes }));
      expect(() => resumeConfig(join(folder, "stopped"))).toThrow(message);
      expect(() => resumeConfig(join(folder, "stopped"))).toThrow(path);
    }
    writeFileSync(path, whole);
  });
});

const squaresContents = (images: number) => ({ images, objects: 2 * images, sha256: `squares ${images}` });
