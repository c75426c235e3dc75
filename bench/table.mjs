#!/usr/bin/env node
// @ts-check
// The figures that this project aims at, beside what this machine gives: each row says what is measured, what came out
// and the target.
//
//   node bench/table.mjs [--only forward,step,share,quota,folder] [--models nano] [--batch 1]
//                        [--python venv/bin/python] [--rounds 2] [--steps 10] [--images 64] [--no-busy]
//                        [--isa avx2] [--json]
//
// Rows that need bfloat16 units say "not on this CPU" where there are none. The row of the CPU quota needs a Linux
// with cgroups that this user may write.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { readHardware } from "@rfdetr/amp";
import { benchAgainst } from "rfdetr/instruments";
import { machineLine } from "rfdetr/support";
import { names, peerFlags, timesOf } from "./peers.mjs";

const { values, say, common } = await peerFlags(
  {
    only: { type: "string", default: "forward,step,share,quota,folder" },
    models: { type: "string", default: "nano" },
    batch: { type: "string", default: "1" },
    images: { type: "string", default: "64" },
    "no-busy": { type: "boolean", default: false },
  },
  ["openvino", "onnxruntime", "python"],
);
const run = promisify(execFile);
const command = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
const folderScript = fileURLToPath(new URL("./predict-folder.mjs", import.meta.url));
const hardware = readHardware("cpu");
const bf16 = hardware.bf16 && common.isa === undefined;
const absent = "not on this CPU";
/** @type {("32-true" | "bf16-mixed")[]} */
const precisions = bf16 ? ["32-true", "bf16-mixed"] : ["32-true"];
const busy = !values["no-busy"];
const steps = Number(values.steps ?? 10);
const rows = [];
/** Rows are said at once too: a long measurement that is ended keeps what it found. */
const add = (figure, now, target, /** @type {boolean | null} */ met = null) => {
  rows.push({ figure, now, target, met });
  say(`${figure}: ${now}`);
};
const times = (ratio) => `${ratio.toFixed(2)}×`;
const onProcess = ({ program, precision, busy, seconds }) =>
  say(
    `${precision}${busy ? ", one core busy" : ""}: ${names[program]} ${seconds === null ? "–" : `${seconds.toFixed(3)} s`}`,
  );

/** Adds the slowing of this program by a busy process, and of the others beside it. */
function addSlowing(what, result, measured) {
  for (const precision of precisions) {
    const slowing = timesOf(result, measured, precision, true);
    const ours = slowing.get("rfdetr")?.slowing;
    if (!ours) continue;
    const others = [...slowing.values()].filter(({ program, slowing }) => program !== "rfdetr" && slowing !== null);
    const beside = others.map(({ program, slowing }) => `${names[program]} ${times(slowing)}`).join(", ");
    add(`slowing by one busy process, ${what}, ${precision}`, `${times(ours)} (${beside})`, "≤ 1.8×", ours <= 1.8);
  }
}

async function forward(model, batch) {
  const result = await benchAgainst({
    what: "infer",
    model,
    batch,
    against: ["openvino", "onnxruntime"],
    precisions,
    steps: 2 * steps,
    warmup: 4,
    busy,
    ...common,
    onProcess,
  });
  const what = `forward of ${model}, batch ${batch}`;
  const aim =
    hardware.features.includes("avx512f") && common.isa === undefined
      ? "the faster of OpenVINO and onnxruntime"
      : "onnxruntime";
  const full = timesOf(result, "forward", "32-true");
  const ratios = ["openvino", "onnxruntime"].map((name) => [name, full.get(name)?.ratio?.median ?? null]);
  const measured = ratios.filter(([, ratio]) => ratio !== null);
  const least =
    aim === "onnxruntime" ? full.get("onnxruntime")?.ratio?.median : Math.min(...measured.map(([, ratio]) => ratio));
  const shown = measured.map(([name, ratio]) => `${names[name]} ${times(ratio)}`).join(", ");
  add(
    `${what}, 32-true, against ${aim}`,
    `${(1000 * (full.get("rfdetr")?.seconds ?? 0)).toFixed(1)} ms: ${shown}`,
    "≥ 1.0×",
    least === undefined ? null : least >= 1,
  );
  const half = bf16 ? timesOf(result, "forward", "bf16-mixed").get("openvino")?.ratio?.median : undefined;
  add(
    `${what}, bf16-mixed, against OpenVINO`,
    half === undefined ? absent : times(half),
    "≥ 1.1×",
    half === undefined ? null : half >= 1.1,
  );
  addSlowing(what, result, "forward");
}

async function step() {
  const result = await benchAgainst({
    what: "train",
    model: "nano",
    batch: 4,
    against: ["python"],
    precisions,
    steps: Math.ceil(steps / 2),
    warmup: 2,
    busy,
    ...common,
    onProcess,
  });
  const target = hardware.features.includes("avx512f") && common.isa === undefined ? 2 : 1.3;
  const full = timesOf(result, "training step", "32-true").get("python")?.ratio;
  if (full)
    add(
      "step of Nano, batch 4, 32-true, against the package",
      times(full.median),
      `≥ ${target.toFixed(1)}×`,
      full.median >= target,
    );
  const half = timesOf(result, "training step", "bf16-mixed").get("python")?.ratio;
  add(
    "step, bf16-mixed, against the package's modules under forced bfloat16",
    half ? times(half.median) : absent,
    "≥ 2.1×",
    half ? half.median >= 2.1 : null,
  );
  add(
    "step, bf16-mixed against our own 32-true",
    result.own_speedup === null ? absent : times(result.own_speedup),
    "stated",
  );
  addSlowing("training step", result, "training step");
}

async function share() {
  if (!bf16) return add("step: share of the run's own bfloat16 product peak", absent, "≥ 68 %");
  const { stdout } = await run(process.execPath, [
    command,
    "bench",
    "train",
    "--device",
    "cpu",
    "--precision",
    "bf16-mixed",
    "--steps",
    String(steps),
    "--json",
  ]);
  const { mfu } = JSON.parse(stdout);
  add("step: share of the run's own bfloat16 product peak", `${(100 * mfu).toFixed(0)} %`, "≥ 68 %", mfu >= 0.68);
}

const cgroup = "/sys/fs/cgroup/cpu";
/** Median milliseconds of a forward pass under a quota of so many cores. */
async function underQuota(cores) {
  const group = `${cgroup}/rfdetr-bench-${process.pid}`;
  mkdirSync(group);
  try {
    if (cores !== null) writeFileSync(`${group}/cpu.cfs_quota_us`, String(Math.round(cores * 100_000)));
    const line = `echo $$ > ${group}/tasks && exec "$0" "$@"`;
    const precision = bf16 ? "bf16-mixed" : "32-true";
    const { stdout } = await run("sh", [
      "-c",
      line,
      process.execPath,
      command,
      "bench",
      "infer",
      "--device",
      "cpu",
      "--precision",
      precision,
      "--steps",
      String(2 * steps),
      "--json",
    ]);
    return JSON.parse(stdout).milliseconds.forward.median;
  } finally {
    rmdirSync(group);
  }
}

async function quota() {
  const figure = "forward of Nano under a CPU quota of 1.5 and of 1 core";
  if (!existsSync(`${cgroup}/cpu.cfs_quota_us`))
    return add(figure, "no writable cgroup here", "no worse than 1.5×, 1.9×");
  const [whole, more, one] = [await underQuota(null), await underQuota(1.5), await underQuota(1)];
  add(
    figure,
    `${times(more / whole)}, ${times(one / whole)}`,
    "no worse than 1.5×, 1.9×",
    more / whole <= 1.55 && one / whole <= 1.95,
  );
}

async function folder() {
  const { stdout } = await run(process.execPath, [folderScript, "--images", values.images, "--json"], {
    maxBuffer: 1 << 26,
  });
  for (const { what, batch, share } of JSON.parse(stdout).rows)
    add(`${what}, batch ${batch}: of the model's own rate`, times(share), "≥ 0.9×", share >= 0.9);
}

const wanted = values.only.split(",");
if (wanted.includes("forward"))
  for (const model of values.models.split(","))
    for (const batch of values.batch.split(",")) await forward(model, Number(batch));
if (wanted.includes("step")) await step();
if (wanted.includes("share")) await share();
if (wanted.includes("quota")) await quota();
if (wanted.includes("folder")) await folder();
const machine = `${machineLine()}${common.isa === undefined ? "" : `, ${common.isa.toUpperCase()} at most`}`;
const date = new Date().toISOString().slice(0, 10);
if (values.json) console.log(JSON.stringify({ bench: "table", date, machine, rows }));
else {
  console.log(`${date}, ${machine}\n\n| figure | now | target | met |\n|---|---|---|---|`);
  for (const { figure, now, target, met } of rows)
    console.log(`| ${figure} | ${now} | ${target} | ${met === null ? "" : met ? "yes" : "no"} |`);
}
