// The command as a process: signals, streams that break, errors that nobody catches.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, cpSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { folder, script } from "./command-script.js";

const training = (out: string, steps: number) => [
  ...["train", "--data", "data", "--model", "tiny", "--out", out, "--epochs", "100000", "--batch", "2"],
  ...["--precision", "32-true", "--set", "multi_scale=off", "--set", `max_steps=${steps}`],
];
const ended = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.on("exit", resolve));
const summary = (out: string) => JSON.parse(readFileSync(join(folder, out, "summary.json"), "utf8"));

beforeAll(() => {
  const run = (...args: string[]) => spawnSync(process.execPath, [script, ...args], { cwd: folder });
  run("data", "synth", "data", "--images", "6", "--size", "64");
  expect(run(...training("made", 4)).status).toBe(0);
});

it("data synth leaves nothing behind at Ctrl-C, which ends it", async () => {
  const child = spawn(process.execPath, [script, "data", "synth", "new/many", "--images", "100000"], { cwd: folder });
  const exit = new Promise((resolve) => child.on("exit", (code, signal) => resolve(signal ?? code)));
  const isWriting = () => existsSync(join(folder, "new")) && readdirSync(join(folder, "new")).length > 0;
  while (!isWriting()) await new Promise((resolve) => setTimeout(resolve, 2));
  child.kill("SIGINT");
  expect([await exit, existsSync(join(folder, "new"))]).toEqual(["SIGINT", false]);
});

describe("the limits of the system", () => {
  const launcher = fileURLToPath(new URL("../bin/rfdetr.mjs", import.meta.url));
  const limited = (line: string) => {
    const { status, stderr } = spawnSync(
      "sh",
      ["-c", `${line} "$@"`, "sh", process.execPath, launcher, "data", "check", join(folder, "data")],
      {
        cwd: folder,
        encoding: "utf8",
      },
    );
    return [status, stderr];
  };

  it.skipIf(process.platform === "win32")("are named in one sentence", () => {
    expect(limited("ulimit -n 64;")).toEqual([1, "error: Too many files are open: raise the limit with ulimit -n\n"]);
    expect(limited("mkdir gone; cd gone; rmdir ../gone;")).toEqual([
      1,
      "error: The current folder does not exist any more: change to another\n",
    ]);
  });
});

it("a training ends though its config file has started a timer", () => {
  writeFileSync(join(folder, "timer.mjs"), "setInterval(() => {}, 1000);\nexport default { epochs: 1 };\n");
  const launcher = fileURLToPath(new URL("../bin/rfdetr.mjs", import.meta.url));
  const flags = ["--config", "timer.mjs", "--dry-run"];
  const { status, stdout } = spawnSync(process.execPath, [launcher, ...training("timer", 1), ...flags], {
    cwd: folder,
    encoding: "utf8",
    timeout: 300_000,
  });
  expect([status, stdout]).toEqual([0, expect.stringContaining("time")]);
});

describe("a training", () => {
  it.each([
    ["SIGINT", 130],
    ["SIGTERM", 143],
    ["SIGHUP", 129],
  ] as const)("saves and ends at %s, which may come twice, with exit code %i", async (signal, code) => {
    const child = spawn(process.execPath, [script, ...training(signal, 100_000), "--json"], { cwd: folder });
    let output = "";
    let sent = false;
    child.stdout.on("data", (chunk: Buffer) => {
      output += chunk.toString();
      if (sent || !output.includes('"type":"step"')) return;
      sent = true;
      child.kill(signal);
      setTimeout(() => child.kill(signal), 50);
    });
    expect(await ended(child)).toBe(code);
    const last = JSON.parse(output.trim().split("\n").at(-1) as string);
    expect(last).toMatchObject({ type: "done", summary: { stop_reason: "interrupted" } });
    expect(existsSync(join(folder, signal, "checkpoint", "state.json"))).toBe(true);
  });

  it("saves and ends when npx, which started it, is killed", async () => {
    const line = `"${process.execPath}" "${script}" ${training("orphan", 100_000).join(" ")} & wait`;
    const shell = spawn("sh", ["-c", line], {
      cwd: folder,
      env: { ...process.env, npm_execpath: "npm-cli.js" },
      stdio: "ignore",
    });
    await vi.waitUntil(() => existsSync(join(folder, "orphan", "numerics.jsonl")), { timeout: 30_000, interval: 50 });
    shell.kill("SIGKILL");
    await vi.waitUntil(() => existsSync(join(folder, "orphan", "summary.json")), { timeout: 30_000, interval: 50 });
    await vi.waitUntil(() => summary("orphan").stop_reason === "interrupted", { timeout: 30_000, interval: 50 });
    expect(existsSync(join(folder, "orphan", "checkpoint", "state.json"))).toBe(true);
  });

  it("goes on when nobody reads its output any more", async () => {
    const child = spawn(process.execPath, [script, ...training("unread", 4), "--json"], { cwd: folder });
    child.stdout.once("data", () => child.stdout.destroy());
    child.stderr.once("data", () => child.stderr.destroy());
    expect(await ended(child)).toBe(0);
    expect(summary("unread")).toMatchObject({ steps: 4, stop_reason: "max_steps" });
  });

  it.runIf(existsSync("/dev/full"))("goes on when the disk of its output is full", () => {
    const full = openSync("/dev/full", "w");
    const { status } = spawnSync(process.execPath, [script, ...training("full", 4)], {
      cwd: folder,
      stdio: ["ignore", full, full],
    });
    closeSync(full);
    expect(status).toBe(0);
    expect(summary("full")).toMatchObject({ steps: 4, stop_reason: "max_steps" });
  });

  it.runIf(existsSync("/dev/full"))("warns when its events cannot be written", () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [script, ...training("untold", 1), "--json"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    closeSync(full);
    expect(stderr).toMatch(/warning: What the run tells cannot be written to stdout: ENOSPC/);
    expect(status).toBe(0);
  });
});

describe("another command", () => {
  it.each([
    [["data", "check", "data"], "can be trained on"],
    [["data", "stats", "data"], "train: 6 images"],
    [["data", "stats", "data", "--out", "stats"], "box-sizes.svg"],
    [["doctor"], "precision "],
    [["numerics", "made"], "4 steps"],
    [["val", "--weights", "made", "--data", "data", "--precision", "32-true"], "AP50"],
    [["predict", "data/valid", "--weights", "made", "--threshold", "0"], "valid-00000.jpg: "],
  ])("%j prints its results on stdout, with and without --json", (args, result) => {
    const run = (...more: string[]) =>
      spawnSync(process.execPath, [script, ...args, ...more], { cwd: folder, encoding: "utf8" });
    expect(run()).toMatchObject({ status: 0, stdout: expect.stringContaining(result) });
    const { status, stdout } = run("--json");
    expect([status, typeof JSON.parse(stdout)]).toEqual([0, "object"]);
  });

  it("names the command that trains on data that it has made or found good", () => {
    const said = (...args: string[]): string[] =>
      spawnSync(process.execPath, [script, "data", ...args], { cwd: folder, encoding: "utf8" }).stdout.split("\n");
    expect(said("synth", "fresh", "--images", "8", "--size", "64")).toContain(
      "next       npx rfdetr train --data fresh --model tiny",
    );
    expect(said("check", "fresh")).toContain("next       npx rfdetr train --data fresh --model nano");
    expect(said("check", "fresh", "--masks")).toContain("next       npx rfdetr train --data fresh --model seg-nano");
    expect(said("check", "fresh", "--fix", "mended")).toContain(
      "next       npx rfdetr train --data mended --model nano",
    );
    expect(said("split", "fresh/train", "cut")).toContain("next       npx rfdetr train --data cut --model nano");
    expect(said("check", "nowhere").join()).not.toContain("next ");
  });

  it("names the check that looks at what it has looked at", () => {
    cpSync(join(folder, "data"), join(folder, "bare"), { recursive: true });
    const file = join(folder, "bare/train/_annotations.coco.json");
    const content = JSON.parse(readFileSync(file, "utf8"));
    for (const annotation of content.annotations) Reflect.deleteProperty(annotation, "segmentation");
    writeFileSync(file, JSON.stringify(content));
    const run = ["data", "stats", "bare", "--masks"];
    const { stderr } = spawnSync(process.execPath, [script, ...run], { cwd: folder, encoding: "utf8" });
    expect(stderr).toContain("rfdetr data check --masks names it");
  });

  it("ends quietly when its reader has seen enough", async () => {
    const child = spawn(process.execPath, [script, "data", "stats", "data"], { cwd: folder });
    child.stdout.destroy();
    let errors = "";
    child.stderr.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    expect(await ended(child)).toBe(0);
    expect(errors).toBe("");
  });

  it.runIf(existsSync("/dev/full"))("fails when its results cannot be written", () => {
    const full = openSync("/dev/full", "w");
    const { status, stderr } = spawnSync(process.execPath, [script, "data", "stats", "data", "--json"], {
      cwd: folder,
      encoding: "utf8",
      stdio: ["ignore", full, "pipe"],
    });
    closeSync(full);
    expect(stderr).toMatch(/^error: The results cannot be written to stdout: ENOSPC/);
    expect(status).toBe(1);
  });

  it.each([
    ["a promise that nobody awaits", 'Promise.reject(new Error("lost"))'],
    ["a timer that throws", 'setTimeout(() => { throw new Error("lost"); })'],
  ])("reports %s as a fault of the program", (_, fault) => {
    const preload = `const { write } = process.stdout;
      process.stdout.write = function (...args) {
        process.stdout.write = write;
        ${fault};
        return write.apply(this, args);
      };`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ["--import", `data:text/javascript,${encodeURIComponent(preload)}`, script, "data", "stats", "data"],
      { cwd: folder, encoding: "utf8" },
    );
    expect(stderr).toMatch(/^error: This is a fault of rfdetr[^\n]*\nError: lost\n {4}at /);
    expect(status).toBe(1);
  });
});
