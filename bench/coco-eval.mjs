#!/usr/bin/env node
// @ts-check
// The COCO metrics of `rfdetr bench eval` beside pycocotools and faster-coco-eval on the same files.
//
//   npm run build && node bench/coco-eval.mjs [--images 5000] [--detections 100] [--classes 80] [--truths 7]
//      [--repeat 3]
//                                             [--python PATH]   a Python with pycocotools and faster-coco-eval
//
// Every run is a fresh process; with --python the programs take turns. One JSON object goes to stdout.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { loadFiles } from "rfdetr";
import { peakRss } from "rfdetr/support";

const self = fileURLToPath(import.meta.url);
const maxDets = [1, 10, 100];

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "5000" },
    detections: { type: "string", default: "100" },
    classes: { type: "string", default: "80" },
    truths: { type: "string", default: "7" },
    repeat: { type: "string", default: "3" },
    python: { type: "string" },
    child: { type: "string" },
  },
});

if (values.child) child(values.child);
else await main();

async function main() {
  // Not in the measured processes: it loads libtorch, which the metrics do not need.
  const { writeLoad } = await import("rfdetr/instruments");
  const load = {
    images: Number(values.images),
    detections: Number(values.detections),
    classes: Number(values.classes),
    truths: Number(values.truths),
  };
  const folder = mkdtempSync(join(tmpdir(), "coco-bench-"));
  try {
    console.error(`writing ${load.images} images with ${load.detections} detections each, ${load.classes} classes`);
    writeLoad(folder, load);
    const runs = {};
    for (let round = 0; round < Number(values.repeat); round++) {
      for (const program of values.python ? ["ours", "faster_coco_eval", "pycocotools"] : ["ours"]) {
        const result = run(program, folder);
        runs[program] ??= [];
        runs[program].push(result);
        console.error(
          `${program}: load ${result.seconds.load.toFixed(2)} s, evaluate ${result.seconds.evaluate.toFixed(2)} s, ${(result.peak_rss_bytes / 2 ** 20).toFixed(0)} MiB, AP ${result.stats[0].toFixed(6)}`,
        );
      }
    }
    report(load, runs);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function report(load, runs) {
  const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
  const programs = Object.fromEntries(
    Object.entries(runs).map(([name, list]) => [
      name,
      {
        seconds: {
          load: { median: median(list.map((r) => r.seconds.load)), min: Math.min(...list.map((r) => r.seconds.load)) },
          evaluate: {
            median: median(list.map((r) => r.seconds.evaluate)),
            min: Math.min(...list.map((r) => r.seconds.evaluate)),
          },
        },
        peak_rss_bytes: Math.max(...list.map((r) => r.peak_rss_bytes)),
        stats: list[0].stats,
      },
    ]),
  );
  for (const [name, program] of Object.entries(programs)) {
    if (name === "ours") continue;
    const ratio = program.seconds.evaluate.median / programs.ours.seconds.evaluate.median;
    const difference = Math.max(...program.stats.map((value, i) => Math.abs(value - programs.ours.stats[i])));
    Object.assign(program, { ratio, largest_difference: difference });
    console.error(
      `${name}: ${ratio.toFixed(1)} times our time, figures differ by at most ${difference.toExponential(1)}`,
    );
  }
  console.log(
    JSON.stringify({ load, machine: `${cpus()[0].model}, ${cpus().length} cores`, node: process.version, programs }),
  );
}

function run(program, folder) {
  const files = [join(folder, "annotations.json"), join(folder, "results.json")];
  const peer = fileURLToPath(new URL("coco_eval_peer.py", import.meta.url));
  const ours = program === "ours";
  const command = ours ? process.execPath : (values.python ?? "python3");
  const args = ours ? [self, "--child", folder] : [peer, program, ...files, JSON.stringify(maxDets)];
  const done = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status ?? done.signal ?? done.error}`);
  return JSON.parse(done.stdout.trim().split("\n").at(-1) ?? "");
}

/** @param {string} folder */
function child(folder) {
  const start = performance.now();
  const evaluator = loadFiles(join(folder, "annotations.json"), join(folder, "results.json"), { maxDets });
  const loaded = performance.now();
  const s = evaluator.summarize();
  const seconds = { load: (loaded - start) / 1000, evaluate: (performance.now() - loaded) / 1000 };
  const sizes = [s.AR_small, s.AR_medium, s.AR_large];
  const stats = [s.AP, s.AP50, s.AP75, s.AP_small, s.AP_medium, s.AP_large, s.AR1, s.AR10, s.AR100, ...sizes];
  console.log(JSON.stringify({ seconds, peak_rss_bytes: peakRss(), stats }));
}
