#!/usr/bin/env node
// @ts-check
// What a busy neighbour and a CPU quota cost: seconds of a forward pass and of a training step on an idle machine,
// beside a process that never sleeps, and within a quota of 1 and of 1.5 cores.
//
//   node bench/busy.mjs [--model nano] [--precision 32-true] [--batch 2] [--rounds 3] [--forwards 10] [--steps 2]
//                       [--parts neighbour,quota] [--json]
//
// Idle and busy alternate within one process, so a slower machine minute falls on both. A quota needs a process of its
// own, since threads are counted at the start; it takes a control group, and so root. Figures are means: a median would
// hide the waits. `bits` tells whether two processes, one of them beside the neighbour, gave the same losses.
import { fork, spawn } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine } from "rfdetr/support";
import { mean } from "./statistics.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    precision: { type: "string", default: "32-true" },
    batch: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    forwards: { type: "string", default: "10" },
    steps: { type: "string", default: "2" },
    parts: { type: "string", default: "neighbour,quota" },
    json: { type: "boolean", default: false },
  },
});
const kinds = /** @type {const} */ (["forward", "step"]);
const counts = { forward: Number(values.forwards), step: Number(values.steps) };

/** Answers messages `[kind, count]` with the mean seconds of a run and what it computed. */
async function serve() {
  letThreadsSleep();
  const { getNumThreads, manualSeed, noGrad, randn, scope } = await import("@rfdetr/torch");
  const { benchParts } = await import("rfdetr/instruments");
  const { Predictor } = await import("rfdetr/predict");
  const { randomBatch, trainingStep } = await import("rfdetr/train");
  const { RFDETRModel, sidesOf } = await import("rfdetr/model");
  const precision = /** @type {import("@rfdetr/amp").Precision} */ (values.precision);
  const { config, parts, ema } = benchParts({ model: values.model, precision, device: "cpu" });
  manualSeed(1);
  const data = randomBatch(Number(values.batch), config.resolution, config.numClasses, 8, config.segmentationHead);
  const predictor = new Predictor(new RFDETRModel(config), { classNames: [], precision, device: "cpu" });
  const images = randn([1, 3, ...sidesOf(config.resolution)]);
  const run = {
    forward: () => noGrad(() => scope(() => predictor.forward(images).predLogits.sum().item())),
    step: () => trainingStep(parts, [data], { ema }).loss,
  };
  process.on("message", (/** @type {["forward" | "step", number]} */ [kind, count]) => {
    const start = performance.now();
    const results = Array.from({ length: count }, run[kind]);
    const seconds = (performance.now() - start) / 1000 / count;
    process.send?.({ seconds, results, threads: getNumThreads() });
  });
}

/** A measuring process. `prepare` is called with its id before it loads libtorch. */
async function measuring(prepare = (/** @type {number} */ _pid) => {}) {
  const child = fork(fileURLToPath(import.meta.url), process.argv.slice(2), {
    env: { ...process.env, RFDETR_BUSY_CHILD: "1" },
  });
  child.once("exit", (code) => code && process.exit(code));
  const reply = () => new Promise((resolve) => child.once("message", resolve));
  await reply();
  prepare(/** @type {number} */ (child.pid));
  child.send("start");
  const measure = (/** @type {"forward" | "step"} */ kind, count = counts[kind]) => {
    child.send([kind, count]);
    return reply();
  };
  const warm = await measure("forward", 3);
  const step = await measure("step", 2);
  return { measure, threads: warm.threads, first: [...warm.results, ...step.results], end: () => child.kill() };
}

/** A control group with a quota of `cores`, or null where none can be made. @param {number} cores */
function quotaGroup(cores) {
  const [old, one] = ["/sys/fs/cgroup/cpu", "/sys/fs/cgroup"];
  const folder = join(existsSync(old) ? old : one, `rfdetr-busy-${process.pid}`);
  try {
    if (!existsSync(old)) writeFileSync(join(one, "cgroup.subtree_control"), "+cpu");
    mkdirSync(folder);
    if (existsSync(old)) writeFileSync(join(folder, "cpu.cfs_quota_us"), String(cores * 100_000));
    else writeFileSync(join(folder, "cpu.max"), `${cores * 100_000} 100000`);
    return folder;
  } catch {
    return null;
  }
}

async function beside() {
  // It ends by itself when this process is gone.
  const loop = `for (let i = 0; process.ppid === ${process.pid}; i++) for (let k = 0; k < 1e8; k++);`;
  const neighbour = spawn(process.execPath, ["-e", loop], { stdio: "ignore" });
  const stop = () => {
    neighbour.kill("SIGKILL");
    process.exit(1);
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    const busyFromStart = await measuring();
    neighbour.kill("SIGSTOP");
    busyFromStart.end();
    const { measure, first, end, threads } = await measuring();
    const rows = [];
    for (const kind of kinds) {
      /** @type {{idle: number[], busy: number[]}} */
      const seconds = { idle: [], busy: [] };
      for (let round = 0; round < Number(values.rounds); round++) {
        seconds.idle.push((await measure(kind)).seconds);
        neighbour.kill("SIGCONT");
        seconds.busy.push((await measure(kind)).seconds);
        neighbour.kill("SIGSTOP");
      }
      const [idle, busy] = [mean(seconds.idle), mean(seconds.busy)];
      rows.push({ kind, threads, condition: "idle", seconds: idle, ratio: 1 });
      rows.push({ kind, threads, condition: "one busy neighbour", seconds: busy, ratio: busy / idle });
    }
    end();
    return { rows, bits: JSON.stringify(first) === JSON.stringify(busyFromStart.first) ? "same" : "differ" };
  } finally {
    neighbour.kill("SIGKILL");
  }
}

/** @param {number} cores @param {{kind: string, seconds: number}[]} idle */
async function within(cores, idle) {
  const group = quotaGroup(cores);
  if (group === null) return [];
  const { measure, threads, end } = await measuring((pid) => writeFileSync(join(group, "cgroup.procs"), String(pid)));
  const rows = [];
  for (const kind of kinds) {
    const { seconds } = await measure(kind);
    const ratio = seconds / (idle.find((row) => row.kind === kind)?.seconds ?? Number.NaN);
    rows.push({ kind, threads, condition: `quota of ${cores} cores`, seconds, ratio });
  }
  end();
  await new Promise((resolve) => setTimeout(resolve, 500));
  rmdirSync(group);
  return rows;
}

if (process.env.RFDETR_BUSY_CHILD) {
  process.send?.("ready");
  process.once("message", () => void serve());
} else {
  const { rows, bits } = await beside();
  if (values.parts.includes("quota"))
    for (const cores of [1, 1.5])
      rows.push(
        ...(await within(
          cores,
          rows.filter((row) => row.condition === "idle"),
        )),
      );
  const what = `${values.model}, ${values.precision}, forward of 1 image, step of ${values.batch}`;
  if (values.json) console.log(JSON.stringify({ machine: machineLine(), what, bits, rows }));
  else {
    console.log(`${machineLine()}\n${what}; bits beside the neighbour: ${bits}\n`);
    console.log("| | threads | what | s | against idle |\n|---|---|---|---|---|");
    for (const { kind, threads, condition, seconds, ratio } of rows)
      console.log(`| ${kind} | ${threads} | ${condition} | ${seconds.toFixed(3)} | ${ratio.toFixed(2)}× |`);
  }
}
