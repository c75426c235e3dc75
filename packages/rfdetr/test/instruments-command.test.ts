// The commands that measure: doctor, bench and profile.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { usableCores } from "@rfdetr/torch/cores";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, rfdetr, script } from "./command-script.js";

const data = join(folder, "data");

beforeAll(() => {
  rfdetr("data", "synth", data, "--images", "10", "--size", "96");
  const quick = ["--set", "multi_scale=off", "--set", "max_steps=3", "--batch", "2", "--plain"];
  expect(rfdetr("train", "--data", data, "--model", "tiny", "--out", "run", ...quick).status).toBe(0);
});

describe("rfdetr doctor and bench", () => {
  it("tells a log what it measures", () => {
    const { stderr } = rfdetr("doctor", "--model", "tiny", "--batch", "1", "--casts");
    expect(stderr).toBe("measuring matrix products\n");
  });

  it.each([
    ["doctor", ["--threads", "N"]],
    ["train", ["--data", data, "--model", "tiny", "--dry-run", "--set", "multi_scale=off", "--set", "threads=N"]],
  ])("%s warns of more threads than cores, and refuses many more", (command, flags) => {
    const { threads: cores } = usableCores();
    const run = (threads: number) => rfdetr(command, ...flags.map((flag) => flag.replace("N", String(threads))));
    expect(run(cores + 1).stderr).toMatch(
      new RegExp(`${cores + 1} threads share ${cores} cores?: fewer would compute faster`),
    );
    const { status, stderr } = run(4 * cores + 1);
    expect(stderr).toContain(`Expected at most ${4 * cores} for threads on a machine with ${cores} core`);
    expect(status).toBe(2);
  });

  it("doctor --json recommends a precision with its reason", () => {
    const { status, stdout } = rfdetr("doctor", "--json");
    expect(status).toBe(0);
    const report = JSON.parse(stdout);
    expect(report.recommended).toEqual({
      precision: expect.stringMatching(/^(32-true|bf16-mixed|16-mixed)$/),
      reason: expect.any(String),
    });
  });

  it("bench train --json prints the promised fields", () => {
    const { status, stdout } = rfdetr(
      "bench",
      "train",
      "--model",
      "tiny",
      "--steps",
      "2",
      "--warmup",
      "1",
      "--precision",
      "32-true",
      "--json",
    );
    expect(status).toBe(0);
    const result = JSON.parse(stdout);
    expect(Object.keys(result)).toEqual([
      "model",
      "resolution",
      "batch",
      "queries",
      "boxes",
      "precision",
      "device",
      "steps",
      "seconds",
      "peak_rss_bytes",
      "peak_tensor_bytes",
      "flops_per_step",
      "peak_flops",
      "mfu",
      "losses",
    ]);
    expect(result.losses).toHaveLength(3);
  });

  it("bench measures each of several precisions in processes of its own, in the order asked for", () => {
    // In one process the peak could only grow from one precision to the next.
    const large = ["--model", "tiny", "--batch", "16", "--steps", "1", "--warmup", "1", "--rounds", "1"];
    const { status, stdout } = rfdetr("bench", "train", ...large, "--precision", "32-true", "bf16-mixed", "--json");
    expect(status).toBe(0);
    const [full, mixed] = stdout
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect([full.precision, mixed.precision]).toEqual(["32-true", "bf16-mixed"]);
    expect(mixed.peak_rss_bytes).toBeLessThan(full.peak_rss_bytes);
    const help = rfdetr("bench", "train", "--help").stdout.replace(/\s+/g, " ");
    expect(help).toContain("; with --json, an object a line for each");
  });

  it("bench says of how many processes its figures are", () => {
    const once = ["--model", "tiny", "--steps", "1", "--warmup", "1"];
    const two = rfdetr("bench", "infer", ...once, "--precision", "32-true", "bf16-mixed", "--plain").stdout;
    expect(two.match(/tiny inference, (32-true|bf16-mixed), medians of 2 processes: forward/g)).toHaveLength(2);
    const one = rfdetr("bench", "infer", ...once, "--precision", "32-true", "--plain").stdout;
    expect(one).toMatch(/tiny inference, 32-true: forward/);
  });

  it("bench refuses flags about other programs where none is measured", () => {
    const { status, stderr } = rfdetr("bench", "train", "--model", "tiny", "--busy");
    expect([status, stderr]).toEqual([2, "error: Expected --against beside --busy but received none\n"]);
  });

  it("bench that is stopped leaves no process behind", async () => {
    const endless = ["--model", "tiny", "--steps", "1000000000"];
    const command = spawn(process.execPath, [script, "bench", "infer", ...endless], { cwd: folder, stdio: "ignore" });
    const list = `/proc/${command.pid}/task/${command.pid}/children`;
    let child = "";
    while (child === "" && command.exitCode === null) {
      await wait(50);
      child = readFileSync(list, "utf8").trim();
    }
    command.kill("SIGTERM");
    expect(await once(command, "exit")).toEqual([null, "SIGTERM"]);
    while (existsSync(`/proc/${child}`)) await wait(50);
  });

  it("bench eval --json prints the promised fields", () => {
    const { status, stdout } = rfdetr(
      "bench",
      "eval",
      "--images",
      "5",
      "--detections",
      "4",
      "--classes",
      "3",
      "--json",
    );
    expect(status).toBe(0);
    expect(Object.keys(JSON.parse(stdout))).toEqual([
      "images",
      "detections",
      "classes",
      "truths",
      "seconds",
      "peak_rss_bytes",
      "stats",
    ]);
  });
});

describe("rfdetr profile", () => {
  const once = ["--steps", "1", "--warmup", "1", "--batch", "1", "--plain"];

  it("prints where the time of a step on given weights and data goes, and writes a trace", () => {
    const { status, stdout, stderr } = rfdetr(
      "profile",
      "--weights",
      "run/weights/best.safetensors",
      "--data",
      data,
      "--shapes",
      "--out",
      "trace.json",
      ...once,
    );
    expect(stdout).toMatch(/tiny training, .*: batch 1 at \d+ px on cpu/);
    for (const head of ["phase ", "operator ", "module "]) expect(stdout).toContain(`\n${head}`);
    expect(stdout).toContain("trace written to trace.json");
    expect(stderr).toBe("");
    expect(status).toBe(0);
    const trace = JSON.parse(readFileSync(join(folder, "trace.json"), "utf8"));
    expect(trace.otherData).toMatchObject({ model: "tiny", what: "training", batch: 1 });
    const slice = trace.traceEvents.find((event: { name: string }) => event.name === "aten::linear");
    expect(slice).toMatchObject({
      ph: "X",
      args: { phase: "forward", inputs: expect.any(Array), module: expect.any(String) },
    });
  });

  it("prints the figures for machines, and writes no trace unless asked to", () => {
    rmSync(join(folder, "trace.json"), { force: true });
    const { status, stdout } = rfdetr("profile", "--model", "tiny", "--infer", "--json", ...once);
    expect(status).toBe(0);
    const figures = JSON.parse(stdout);
    expect(figures).toMatchObject({ what: "prediction", model: "tiny", steps: 1, batch: 1 });
    expect(figures.modules.map(({ name }: { name: string }) => name)).toContain("RFDETRModel");
    expect(existsSync(join(folder, "trace.json"))).toBe(false);
  });
});
