// Commands to a run of another process and of another thread.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { controlState } from "../src/run/control/control.js";
import { TrainRun } from "../src/run/train-run.js";
import { resolveSettings } from "../src/settings/resolve.js";

const folder = mkdtempSync(join(tmpdir(), "control-command-"));
const launcher = fileURLToPath(new URL("../bin/rfdetr.mjs", import.meta.url));
const rfdetr = (...args: string[]) =>
  spawnSync(process.execPath, [launcher, ...args], { cwd: folder, encoding: "utf8" });
const control = (...args: string[]) => rfdetr("control", "run", ...args);
const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.on("exit", resolve));

beforeAll(() => {
  expect(rfdetr("data", "synth", "data", "--images", "6", "--size", "64").status).toBe(0);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("rfdetr control", () => {
  it("pauses a run, changes its precision, lets it go on, and a signal ends it also while it is paused", async () => {
    const args = ["train", "--data", "data", "--model", "tiny", "--out", "run", "--epochs", "100000", "--batch", "2"];
    const child = spawn(
      process.execPath,
      [launcher, ...args, "--precision", "bf16-mixed", "--set", "multi_scale=off", "--set", "eval_interval=100000"],
      { cwd: folder },
    );
    let output = "";
    child.stderr.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
    await vi.waitUntil(() => existsSync(join(folder, "run", "numerics.jsonl")), { timeout: 60_000, interval: 50 });

    const paused = control("pause");
    expect([paused.status, paused.stdout]).toEqual([0, expect.stringMatching(/^The run is paused after step \d+\n$/)]);
    expect(paused.stderr).toMatch(/to let it go on: .*control run go-on\n/);
    const again = control("pause");
    expect([again.status, again.stderr]).toEqual([1, expect.stringContaining("The run is paused already")]);
    const override = control("override", "transformer.decoder", "fp32", "--json");
    expect(JSON.parse(override.stdout)).toMatchObject({
      accepted: true,
      paused: true,
      undoable: 1,
      overrides: { "transformer.decoder": "fp32" },
    });
    expect(control("go-on").stdout).toMatch(/^The run goes on after step \d+\n$/);
    expect(control("undo").stdout).toMatch(/^From step \d+ on, the last override is taken back\n$/);
    expect(control("pause").status).toBe(0);
    const resumed = control("resume");
    expect([resumed.stdout, resumed.stderr]).toEqual([expect.stringMatching(/^The run goes on after step \d+\n$/), ""]);
    expect(control("pause").status).toBe(0);
    child.kill("SIGTERM");
    expect(await ended(child)).toBe(143);
    expect(output).toMatch(/The run is paused after step \d+/);
    const { stop_reason } = JSON.parse(readFileSync(join(folder, "run", "summary.json"), "utf8"));
    expect(stop_reason).toBe("interrupted");

    const late = control("stop");
    expect([late.status, late.stderr]).toEqual([1, expect.stringContaining("Expected a run in progress in")]);
  });

  it("says what is wrong with a command", () => {
    const error = (...args: string[]) => {
      const { status, stderr } = control(...args);
      return [status, stderr.split("\n")[0]];
    };
    expect(error("pose")).toEqual([2, expect.stringContaining("Expected one of pause, go-on, stop, override, undo")]);
    expect(error("override", "transformer.decoder", "float32")).toEqual([2, expect.stringContaining("fp32")]);
    expect(error("override")).toEqual([2, expect.stringContaining("Expected a pattern of module paths")]);
    expect(error("pause", "transformer")).toEqual([2, expect.stringContaining("Expected nothing after pause")]);
  });
});

describe("a run of the library", () => {
  it("is paused, resumed and controlled through its object", async () => {
    const run = TrainRun.start(
      resolveSettings({
        datasetDir: join(folder, "data"),
        outputDir: join(folder, "library"),
        model: "tiny",
        batchSize: 2,
        precision: "bf16-mixed",
        multiScale: "off",
        evalInterval: 1000,
        epochs: 1000,
      }),
    );
    expect(await run.pause()).toMatchObject({ accepted: true, paused: true });
    expect(controlState(join(folder, "library"))).toMatchObject({ paused: true });
    const answer = await run.control({ command: "override", pattern: "bbox_embed", rule: "fp32" });
    expect(answer).toMatchObject({ accepted: true, overrides: { bbox_embed: "fp32" } });
    expect(await run.resume()).toMatchObject({ accepted: true, paused: false });
    expect(await run.control({ command: "stop" })).toMatchObject({ accepted: true });
    const { summary } = await run.result;
    expect(summary.stop_reason).toBe("interrupted");
    await expect(run.pause()).rejects.toThrow(/Expected a run in progress/);
  });
});
