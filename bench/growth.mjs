#!/usr/bin/env node
// @ts-check
// How a training step's time and memory grow with batch, resolution, queries, boxes and variant: every point a fresh
// process.
//
//   node bench/growth.mjs [--only batch,boxes] [--precision bf16-mixed,32-true] [--steps 3] [--seconds 600]
//   node bench/growth.mjs --draw       charts to docs/images/growth-*.svg, tables to stdout
//
// Points gather in bench/growth.json; those that stand there are not measured again. --seconds ends the run after so
// long: call it again to go on.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { figure } from "./line-chart.mjs";

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    precision: { type: "string", default: "bf16-mixed,32-true" },
    steps: { type: "string", default: "3" },
    seconds: { type: "string", default: "3600" },
    draw: { type: "boolean", default: false },
  },
});

const at = (path) => fileURLToPath(new URL(path, import.meta.url));
const store = at("./growth.json");
const precisions = ["bf16-mixed", "32-true"];

/**
 * Nano, batch 2 at 384 px with 300 queries and 8 boxes, but for what is varied. `half` are points that float32 leaves
 * out.
 */
const series = {
  batch: { label: "images a step", flags: (n) => ["--batch", n], points: [1, 2, 4, 8, 16], half: [16] },
  resolution: {
    label: "resolution, px",
    flags: (n) => ["--batch", 2, "--resolution", n],
    points: [224, 288, 384, 448, 512, 576, 640, 704],
    half: [288, 448, 576, 640],
  },
  // There are 576 places to begin from at 384 px: of 600 queries 24 go without.
  queries: {
    label: "queries",
    flags: (n) => ["--batch", 2, "--queries", n],
    points: [100, 200, 300, 400, 500, 600],
    half: [100, 200, 300, 400, 500, 600],
  },
  boxes: {
    label: "boxes an image",
    flags: (n) => ["--batch", 2, "--boxes", n],
    points: [0, 8, 30, 100, 200, 300],
    half: [0, 8, 30, 100, 200, 300],
  },
  variant: {
    label: "variant, batch 1",
    flags: (name) => ["--batch", 1, "--model", name],
    points: ["nano", "small", "medium", "large"],
    half: [],
  },
};

const measured = existsSync(store) ? JSON.parse(readFileSync(store, "utf8")) : {};
const mebibytes = (bytes) => Math.round(bytes / 2 ** 20);

function measure() {
  const names = values.only === "" ? Object.keys(series) : values.only.split(",");
  const wanted = values.precision.split(",");
  const until = performance.now() + Number(values.seconds) * 1000;
  for (const name of names)
    for (const precision of wanted)
      for (const point of series[name].points) {
        if (measured[name]?.[precision]?.[point] !== undefined) continue;
        if (precision === "32-true" && series[name].half.includes(point)) continue;
        if (performance.now() > until) return;
        const flags = series[name].flags(point).map(String);
        const args = [at("../packages/rfdetr/bin/rfdetr.mjs"), "bench", "train", ...flags, "--precision", precision];
        const text = execFileSync(process.execPath, [...args, "--warmup", "1", "--steps", values.steps, "--json"], {
          encoding: "utf8",
          stdio: ["ignore", "pipe", "ignore"],
        });
        const { seconds, peak_rss_bytes, peak_tensor_bytes, flops_per_step, peak_flops } = JSON.parse(text);
        const parts = Object.fromEntries(
          Object.entries(seconds).map(([part, { median }]) => [part, Number(median.toFixed(4))]),
        );
        measured[name] ??= {};
        measured[name][precision] ??= {};
        measured[name][precision][point] = {
          seconds: parts,
          fastest: Number(seconds.step.min.toFixed(4)),
          rss: mebibytes(peak_rss_bytes),
          tensors: mebibytes(peak_tensor_bytes),
          gflop: Math.round(flops_per_step / 1e9),
          share_of_peak: Number((flops_per_step / seconds.step.median / peak_flops).toFixed(3)),
        };
        measured.machine = `${availableParallelism()} × ${cpus()[0].model.trim()}`;
        measured.date = new Date().toISOString().slice(0, 10);
        writeFileSync(store, `${JSON.stringify(measured, null, 1)}\n`);
        console.error(`${name} ${point}, ${precision}: ${parts.step} s, ${mebibytes(peak_rss_bytes)} MiB`);
      }
}

function draw() {
  for (const [name, { label, points }] of Object.entries(series)) {
    if (measured[name] === undefined) continue;
    const known = precisions.filter((precision) => measured[name][precision] !== undefined);
    /** @returns {import("./line-chart.mjs").Line[]} */
    const lines = (pick) =>
      known.map((precision, i) => ({
        label: precision,
        color: i,
        dots: true,
        points: points.flatMap(
          /** @returns {[number, number][]} */ (point, place) => {
            const row = measured[name][precision][point];
            return row === undefined ? [] : [[typeof point === "number" ? point : place, pick(row)]];
          },
        ),
      }));
    if (name !== "variant")
      writeFileSync(
        at(`../docs/images/growth-${name}.svg`),
        figure(
          [
            {
              title: "Step",
              xLabel: label,
              yLabel: "seconds",
              include: [0],
              lines: lines((row) => row.seconds.step),
            },
            {
              title: "Peak memory of the process",
              xLabel: label,
              yLabel: "MiB",
              include: [0],
              lines: lines((row) => row.rss),
            },
          ],
          `Lines of the time of a step and of the memory of the process against ${label}, for ${known.join(" and ")}.`,
        ),
      );
    console.log(
      `\n| ${label} | precision | step, s | forward | loss | backward | optimizer | peak RSS, MiB | tensors, MiB | GFLOP | of the peak |`,
    );
    console.log("|---|---|---|---|---|---|---|---|---|---|---|");
    for (const precision of known)
      for (const point of points) {
        const row = measured[name][precision][point];
        if (row === undefined) continue;
        const { step, forward, loss, backward, optimizer } = row.seconds;
        const cells = [step, forward, loss, backward, optimizer].map((value) => value.toFixed(3));
        console.log(
          `| ${[point, precision, ...cells, row.rss, row.tensors, row.gflop, `${(100 * row.share_of_peak).toFixed(0)} %`].join(" | ")} |`,
        );
      }
  }
}

if (values.draw) draw();
else measure();
