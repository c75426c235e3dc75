#!/usr/bin/env node
// @ts-check
// Accuracy with moments of 8 bits: a short training of the tiny detector from several seeds, with the moments of the
// optimizer in float32 and in 8 bits.
//
//   npm run build && node bench/moments.mjs [--seeds 3] [--steps 800] [--data datasets/tiny] [--out runs/moments]
//
// Trains what is not trained yet (one to three minutes a run on two cores), so that it can be stopped and called again;
// then reads all runs and prints a table. One JSON object goes to stdout.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3" },
    steps: { type: "string", default: "800" },
    data: { type: "string", default: "datasets/tiny" },
    out: { type: "string", default: "runs/moments" },
  },
});
const rfdetr = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
const formats = ["float32", "8bit"];
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i);
const folder = (format, seed) => join(values.out, `${format}-${seed}`);
const settings = {
  lr: 7e-4,
  lr_encoder: 7e-4,
  lr_vit_layer_decay: 1,
  lr_component_decay: 1,
  lr_scheduler: "cosine",
  min_factor: 0.01,
  warmup_epochs: 1.58,
  ema_decay: 0.99,
  precision: "32-true",
  multi_scale: "off",
  scale_jitter: false,
  eval_interval: 100,
  tensorboard: false,
  max_steps: Number(values.steps),
};

function command(...args) {
  const { status } = spawnSync(process.execPath, [rfdetr, ...args], { stdio: ["ignore", 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

if (!existsSync(values.data)) command("data", "synth", values.data, "--images", "300", "--size", "96", "--seed", "0");
for (const seed of seeds)
  for (const format of formats) {
    const out = folder(format, seed);
    if (existsSync(join(out, "summary.json"))) continue;
    if (existsSync(out)) {
      command("train", "--resume", out, "--plain");
      continue;
    }
    const all = { ...settings, seed, optimizer_state: format };
    const set = Object.entries(all).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    const data = ["--data", values.data, "--model", "tiny", "--epochs", "22", "--batch", "8"];
    command("train", ...data, "--out", out, "--plain", ...set);
  }

const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
const deviation = (list) =>
  Math.sqrt(list.reduce((sum, v) => sum + (v - mean(list)) ** 2, 0) / Math.max(1, list.length - 1));
const results = formats.map((format) => {
  const runs = seeds.map((seed) => JSON.parse(readFileSync(join(folder(format, seed), "summary.json"), "utf8")));
  const [AP, AP50] = ["AP", "AP50"].map((figure) => runs.map((summary) => summary[figure]));
  return { optimizer_state: format, AP, AP_mean: mean(AP), AP_deviation: deviation(AP), AP50 };
});
for (const { optimizer_state, AP, AP_mean, AP_deviation, AP50 } of results)
  process.stderr.write(
    `${optimizer_state.padEnd(8)} AP ${AP.map((v) => v.toFixed(3)).join(" ")}  mean ${AP_mean.toFixed(4)} ± ${AP_deviation.toFixed(4)}  AP50 ${AP50.map((v) => v.toFixed(3)).join(" ")}\n`,
  );
process.stdout.write(`${JSON.stringify({ data: values.data, steps: Number(values.steps), results })}\n`);
