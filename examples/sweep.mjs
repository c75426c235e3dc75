#!/usr/bin/env node
// @ts-check
// Trains each learning rate with two seeds, since one run cannot tell a rate from a seed, and compares all in a
// report: node examples/sweep.mjs birds/ nano 10
// A run that is already there is not trained again, so an interrupted sweep goes on.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RFDETR } from "rfdetr";
import { readRun, writeReport } from "rfdetr/report";
import "./errors.mjs";

const [data = "birds/", model = "nano", epochs = "10", folder = "runs/sweep", rates = "5e-5,1e-4,2e-4", seeds = "0,1"] =
  process.argv.slice(2);
const runs = [];
const all = rates.split(",").flatMap((rate) => seeds.split(",").map((seed) => [Number(rate), Number(seed)]));
for (const [lr, seed] of all) {
  const outputDir = join(folder, `lr-${lr}-seed-${seed}`);
  runs.push(outputDir);
  if (existsSync(join(outputDir, "summary.json"))) continue;
  const isBegun = existsSync(join(outputDir, "checkpoint"));
  const detector = await RFDETR.create(model);
  const options = { data, lr, seed, outputDir, epochs: Number(epochs) };
  const run = isBegun ? await RFDETR.resume(outputDir) : detector.train(options);
  await run.result;
  await detector.dispose();
}
const found = runs.map((run) => ({ run, AP: readRun(run).summary?.AP ?? null }));
for (const { run, AP } of found.sort((a, b) => (b.AP ?? -1) - (a.AP ?? -1))) console.log(AP?.toFixed(3) ?? "–", run);
writeReport(runs, join(folder, "comparison.html"));
console.log(`compared in ${join(folder, "comparison.html")}`);
