#!/usr/bin/env node
// @ts-check
// Trains one run for each learning rate and compares them in a report: node examples/sweep.mjs birds/ nano 10
// A run that is already there is not trained again, so an interrupted sweep goes on.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { RFDETR } from "rfdetr";
import { readRun, writeReport } from "rfdetr/report";

const [data = "birds/", model = "nano", epochs = "10", folder = "runs/sweep", rates = "5e-5,1e-4,2e-4"] =
  process.argv.slice(2);
const runs = [];
for (const lr of rates.split(",").map(Number)) {
  const outputDir = join(folder, `lr-${lr}`);
  runs.push(outputDir);
  if (existsSync(join(outputDir, "summary.json"))) continue;
  const isBegun = existsSync(join(outputDir, "checkpoint"));
  const detector = await RFDETR.create(model);
  // The same seed: the runs see the same images in the same order.
  const options = { data, lr, outputDir, epochs: Number(epochs), seed: 0 };
  const run = isBegun ? await RFDETR.resume(outputDir) : detector.train(options);
  await run.result;
  await detector.dispose();
}
const found = runs.map((run) => ({ run, AP: readRun(run).summary?.AP ?? null }));
for (const { run, AP } of found.sort((a, b) => (b.AP ?? -1) - (a.AP ?? -1))) console.log(AP?.toFixed(3) ?? "–", run);
writeReport(runs, join(folder, "comparison.html"));
console.log(`compared in ${join(folder, "comparison.html")}`);
