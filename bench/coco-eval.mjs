#!/usr/bin/env node
// Time and memory of the COCO metric on a generated load, and of pycocotools and faster-coco-eval on the same files.
//
//   npm run build && node bench/coco-eval.mjs [--images 5000] [--detections 100] [--classes 80] [--truths 7] [--repeat 3]
//                                             [--python PATH]   a Python with pycocotools and faster-coco-eval
//
// Every run is a fresh process; with --python the programs take turns. One JSON object goes to stdout.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const self = fileURLToPath(import.meta.url);
const compiled = new URL(process.env.RFDETR_DIST ?? "../packages/rfdetr/dist/", import.meta.url);
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

if (values.child) await child(values.child);
else main();

function main() {
  if (!existsSync(new URL("eval/coco.js", compiled))) {
    console.error("Expected the compiled package but found none; run `npm run build` first.");
    process.exit(1);
  }
  const load = Object.fromEntries(["images", "detections", "classes", "truths"].map((key) => [key, Number(values[key])]));
  const folder = mkdtempSync(join(tmpdir(), "coco-bench-"));
  try {
    console.error(`writing ${load.images} images with ${load.detections} detections each, ${load.classes} classes`);
    generate(folder, load);
    const runs = {};
    for (let round = 0; round < Number(values.repeat); round++) {
      for (const program of values.python ? ["ours", "faster_coco_eval", "pycocotools"] : ["ours"]) {
        const result = run(program, folder);
        runs[program] ??= [];
        runs[program].push(result);
        console.error(
          `${program}: load ${result.load.toFixed(2)} s, evaluate ${result.evaluate.toFixed(2)} s, ${(result.peak_rss_bytes / 2 ** 20).toFixed(0)} MiB, AP ${result.stats[0].toFixed(6)}`,
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
          load: { median: median(list.map((r) => r.load)), min: Math.min(...list.map((r) => r.load)) },
          evaluate: { median: median(list.map((r) => r.evaluate)), min: Math.min(...list.map((r) => r.evaluate)) },
        },
        peak_rss_bytes: Math.max(...list.map((r) => r.peak_rss_bytes)),
        stats: list[0].stats,
      },
    ]),
  );
  for (const [name, program] of Object.entries(programs)) {
    if (name === "ours") continue;
    program.ratio = program.seconds.evaluate.median / programs.ours.seconds.evaluate.median;
    program.largest_difference = Math.max(...program.stats.map((value, i) => Math.abs(value - programs.ours.stats[i])));
    console.error(
      `${name}: ${program.ratio.toFixed(1)} times our time, figures differ by at most ${program.largest_difference.toExponential(1)}`,
    );
  }
  console.log(JSON.stringify({ load, machine: `${cpus()[0].model}, ${cpus().length} cores`, node: process.version, programs }));
}

function run(program, folder) {
  const files = [join(folder, "annotations.json"), join(folder, "results.json")];
  const peer = fileURLToPath(new URL("coco_eval_peer.py", import.meta.url));
  const [command, args] =
    program === "ours"
      ? [process.execPath, [self, "--child", folder]]
      : [values.python, [peer, program, ...files, JSON.stringify(maxDets)]];
  const done = spawnSync(command, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
  if (done.status !== 0) throw new Error(`${program} ended with ${done.status ?? done.signal ?? done.error}`);
  return JSON.parse(done.stdout.trim().split("\n").at(-1));
}

async function child(folder) {
  const { loadFiles } = await import(new URL("eval/coco-files.js", compiled).href);
  const start = performance.now();
  const evaluator = loadFiles(join(folder, "annotations.json"), join(folder, "results.json"), { maxDets });
  const loaded = performance.now();
  const s = evaluator.summarize();
  const done = performance.now();
  const stats = [s.AP, s.AP50, s.AP75, s.AP_small, s.AP_medium, s.AP_large, s.AR1, s.AR10, s.AR100, s.AR_small, s.AR_medium, s.AR_large];
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
  console.log(JSON.stringify({ load: (loaded - start) / 1000, evaluate: (done - loaded) / 1000, peak_rss_bytes: peak, stats }));
}

function generate(folder, { images, detections, classes, truths }) {
  let state = 12345;
  const random = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const round = (v) => Math.round(v * 100) / 100;
  const size = () => 8 * 40 ** random();
  const annotations = [];
  const results = [];
  for (let image = 1; image <= images; image++) {
    const count = 1 + Math.floor(random() * (2 * truths - 1));
    const own = [];
    for (let i = 0; i < count; i++) {
      const bbox = [random() * 500, random() * 350, size(), size()].map(round);
      // Few classes in one image, as in photographs.
      const category = 1 + Math.floor(((image * 7919 + Math.floor(random() * 4) * 31) % 1000003) % classes);
      own.push({
        id: annotations.length + i + 1,
        image_id: image,
        category_id: category,
        bbox,
        area: round(bbox[2] * bbox[3] * 0.8),
        iscrowd: random() < 0.02 ? 1 : 0,
      });
    }
    annotations.push(...own);
    for (let i = 0; i < detections; i++) {
      const near = own[Math.floor(random() * own.length)];
      const jitter = () => (random() + random() - 1) * 0.3;
      const hit = random() < 0.5;
      const [x, y, w, h] = near.bbox;
      const bbox = hit
        ? [x + jitter() * w, y + jitter() * h, w * Math.exp(jitter()), h * Math.exp(jitter())]
        : [random() * 500, random() * 350, size(), size()];
      const category = hit || random() < 0.5 ? near.category_id : 1 + Math.floor(random() * classes);
      results.push({
        image_id: image,
        category_id: category,
        bbox: bbox.map(round),
        score: Math.fround(hit ? 0.2 + 0.8 * random() : random() ** 2),
      });
    }
  }
  const categories = Array.from({ length: classes }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
  writeFileSync(
    join(folder, "annotations.json"),
    JSON.stringify({
      info: {},
      images: Array.from({ length: images }, (_, i) => ({ id: i + 1, width: 640, height: 480 })),
      categories,
      annotations,
    }),
  );
  writeFileSync(join(folder, "results.json"), JSON.stringify(results));
}
