#!/usr/bin/env node
// @ts-check
// Accuracy of full trainings: the demo's detector in every precision from several seeds.
//
//   npm run build && node bench/accuracy.mjs [--seeds 3] [--precisions 32-true,bf16-mixed,16-mixed]
//                                            [--data datasets/demo] [--out runs/accuracy]
//                                            [--chart docs/images/precisions.svg]
//
// Trains what is not trained yet (about 3 to 14 minutes a run on two cores), so that it can be stopped and called
// again; then reads all runs, prints a table and draws loss and AP of all of them over each other. One JSON object
// goes to stdout.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { figure } from "./line-chart.mjs";
import { deviation, mean } from "./statistics.mjs";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "3" },
    precisions: { type: "string", default: "32-true,bf16-mixed,16-mixed" },
    data: { type: "string", default: "datasets/demo" },
    out: { type: "string", default: "runs/accuracy" },
    chart: { type: "string", default: "" },
  },
});
const rfdetr = fileURLToPath(new URL("../packages/rfdetr/bin/rfdetr.mjs", import.meta.url));
const precisions = values.precisions.split(",");
const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i);
const folder = (precision, seed) => join(values.out, `${precision}-${seed}`);

for (const seed of seeds)
  for (const precision of precisions) {
    const out = folder(precision, seed);
    if (existsSync(join(out, "summary.json"))) continue;
    const args = ["demo", "--precision", precision, "--seed", String(seed), "--data", values.data, "--out", out];
    const { status } = spawnSync(process.execPath, [rfdetr, ...args], { stdio: ["ignore", 2, 2] });
    if (status !== 0) process.exit(status ?? 1);
  }

/** Rows of metrics.csv as objects of numbers; empty cells are null. */
function table(path) {
  const [header, ...rows] = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => line.split(","));
  return rows.map((cells) =>
    Object.fromEntries(cells.map((cell, i) => [header[i], cell === "" ? null : Number(cell)])),
  );
}
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

const results = precisions.map((precision) => {
  const runs = seeds.map((seed) => {
    const path = folder(precision, seed);
    const steps = readFileSync(join(path, "numerics.jsonl"), "utf8")
      .split("\n")
      .filter((line) => line.includes('"kind":"step"'))
      .map((line) => JSON.parse(line));
    return {
      summary: JSON.parse(readFileSync(join(path, "summary.json"), "utf8")),
      epochs: table(join(path, "metrics.csv")),
      steps,
    };
  });
  const AP = runs.map(({ summary }) => summary.AP);
  const AP50 = runs.map(({ summary }) => summary.AP50);
  return {
    precision,
    runs,
    row: {
      precision,
      AP,
      AP_mean: mean(AP),
      AP_deviation: deviation(AP),
      AP50_mean: mean(AP50),
      skipped: runs.map(({ summary }) => summary.skipped_steps),
      step_seconds: median(runs.flatMap(({ steps }) => steps.map(({ seconds }) => seconds))),
      peak_tensor_bytes: Math.max(...runs.map(({ steps }) => steps[steps.length - 1].memory.peak_bytes)),
    },
  };
});

const smooth = (steps, width = 40) => {
  const points = [];
  for (let i = 0; i + width <= steps.length; i += width) {
    const losses = steps
      .slice(i, i + width)
      .map(({ loss }) => loss)
      .filter(Number.isFinite);
    if (losses.length > 0) points.push([steps[i + width - 1].step, mean(losses)]);
  }
  return points;
};
const lines = (pointsOf, dots) =>
  results.flatMap(({ precision, runs }, p) =>
    runs.map((run, i) => ({
      label: i === 0 ? precision : undefined,
      color: p,
      width: 1.3,
      dots,
      points: pointsOf(run),
    })),
  );
if (values.chart !== "") {
  const loss = {
    title: "Training loss, mean of 40 steps",
    xLabel: "step",
    yLabel: "loss",
    lines: lines(({ steps }) => smooth(steps)),
    scale: /** @type {const} */ ("log2"),
  };
  const ap = ({ epochs }) => epochs.filter((row) => row["val/AP"] !== null).map((row) => [row.step, row["val/AP"]]);
  writeFileSync(
    values.chart,
    figure(
      [loss, { title: "AP on the validation images", xLabel: "step", yLabel: "AP", lines: lines(ap, true) }],
      `Lines of the loss and of AP over the steps of ${results.length} precisions, one for each run.`,
    ),
  );
}
for (const { row } of results)
  process.stderr.write(
    `${row.precision.padEnd(11)} AP ${row.AP.map((v) => v.toFixed(3)).join(" ")}  mean ${row.AP_mean.toFixed(4)} ± ${row.AP_deviation.toFixed(4)}  AP50 ${row.AP50_mean.toFixed(4)}  skipped ${row.skipped.join(" ")}  step ${(row.step_seconds * 1000).toFixed(0)} ms  peak ${(row.peak_tensor_bytes / 2 ** 20).toFixed(0)} MiB\n`,
  );
process.stdout.write(`${JSON.stringify({ data: values.data, results: results.map(({ row }) => row) })}\n`);
