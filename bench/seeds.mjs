#!/usr/bin/env node
// @ts-check
// What a setting does to accuracy: a short training of the tiny detector with each of its values, from several seeds.
// With masks (`--model seg-tiny`), AP of the masks is printed too.
//
//   npm run build && node bench/seeds.mjs --vary optimizer_state=float32,8bit [--precision 32-true]
//                                         [--model tiny] [--seeds 3] [--steps 800] [--data datasets/tiny]
//                                         [--out runs/seeds]
//   node bench/seeds.mjs --model seg-tiny --vary precision=32-true,bf16-mixed --steps 400
//   node bench/seeds.mjs --vary number_format=null,fp8,mxfp8,nvfp4 --precision bf16-mixed
//
// Trains what is not trained yet (one to three minutes a run on two cores), so that it can be stopped and called again;
// then reads all runs and prints a table. One JSON object goes to stdout.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { deviation, mean } from "./statistics.mjs";

const { values } = parseArgs({
  options: {
    vary: { type: "string", default: "optimizer_state=float32,8bit" },
    model: { type: "string", default: "tiny" },
    precision: { type: "string", default: "32-true" },
    seeds: { type: "string", default: "3" },
    steps: { type: "string", default: "800" },
    data: { type: "string", default: "datasets/tiny" },
    out: { type: "string", default: "runs/seeds" },
  },
});
const rfdetr = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
const [setting = "", list = ""] = values.vary.split("=");
const choices = list.split(",");
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i);
const folder = (choice, seed) => join(values.out, `${setting}-${choice}-${seed}`);
const settings = {
  lr: 7e-4,
  lr_encoder: 7e-4,
  lr_vit_layer_decay: 1,
  lr_component_decay: 1,
  lr_scheduler: "cosine",
  min_factor: 0.01,
  warmup_epochs: 1.58,
  ema_decay: 0.99,
  precision: values.precision,
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
  for (const choice of choices) {
    const out = folder(choice, seed);
    if (existsSync(join(out, "summary.json"))) continue;
    if (existsSync(out)) {
      command("train", "--resume", out, "--plain");
      continue;
    }
    const all = { ...settings, seed, [setting]: choice };
    const set = Object.entries(all).flatMap(([name, value]) => ["--set", `${name}=${value}`]);
    const data = ["--data", values.data, "--model", values.model, "--epochs", "22", "--batch", "8"];
    command("train", ...data, "--out", out, "--plain", ...set);
  }

const results = choices.map((choice) => {
  const runs = seeds.map((seed) => JSON.parse(readFileSync(join(folder(choice, seed), "summary.json"), "utf8")));
  const [AP, AP50, mask_AP] = ["AP", "AP50", "mask_AP"].map((figure) => runs.map((summary) => summary[figure]));
  const boxes = { AP, AP_mean: mean(AP), AP_deviation: deviation(AP), AP50 };
  const masks = mask_AP.includes(undefined)
    ? null
    : { AP: mask_AP, AP_mean: mean(mask_AP), AP_deviation: deviation(mask_AP) };
  return { [setting]: choice, ...boxes, ...(masks && { masks }) };
});
const listed = (list) => list.map((v) => v.toFixed(3)).join(" ");
for (const { AP, AP_mean, AP_deviation, AP50, masks, ...result } of results) {
  const ofMasks =
    masks && `  mask AP ${listed(masks.AP)}  mean ${masks.AP_mean.toFixed(4)} ± ${masks.AP_deviation.toFixed(4)}`;
  process.stderr.write(
    `${String(result[setting]).padEnd(8)} AP ${listed(AP)}  mean ${AP_mean.toFixed(4)} ± ${AP_deviation.toFixed(4)}  AP50 ${listed(AP50)}${ofMasks ?? ""}\n`,
  );
}
process.stdout.write(`${JSON.stringify({ data: values.data, steps: Number(values.steps), results })}\n`);
