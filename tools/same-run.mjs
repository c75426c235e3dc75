#!/usr/bin/env node
// @ts-check
// Shows that a run has the same bits in any number of processes: weights, moments, average and figures of runs that
// several processes train, that change their number on the way, or lose one, against runs of one process.
//
//   npm run build && node tools/same-run.mjs [--model demo] [--steps 30] [--images 60] [--keep DIR]
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { synthesize } from "../packages/rfdetr/dist/data/index.js";
import { resumeConfig } from "../packages/rfdetr/dist/run/session/resume.js";
import { resolveSettings } from "../packages/rfdetr/dist/settings/resolve.js";
import { plannedGroup } from "../packages/rfdetr/dist/testing/ranks/planned-group.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "demo" },
    steps: { type: "string", default: "30" },
    images: { type: "string", default: "60" },
    keep: { type: "string" },
  },
});
const steps = Number(values.steps);
const folder = values.keep ?? mkdtempSync(join(tmpdir(), "same-run-"));
const data = join(folder, "data");
await synthesize(data, { images: Number(values.images), size: 64, classes: 3, seed: 1 });

// A first loss scale that overflows, and grows past its limit again after a few steps.
const recipe = {
  datasetDir: data,
  model: values.model,
  seed: 3,
  epochs: 100,
  maxSteps: steps,
  batchSize: 2,
  numWorkers: 1,
  precision: "16-mixed",
  scaler: { init: 2 ** 20, interval: 6 },
  multiScale: true,
  scaleJitter: true,
  augment: "aggressive",
  dropPath: 0.2,
  useEma: true,
  evalBatchSize: 3,
  evalBaseModel: true,
  plots: false,
  tensorboard: false,
};
const files = [
  ...["checkpoint/model", "checkpoint/optimizer", "checkpoint/ema", "weights/last", "weights/best"].map(
    (name) => `${name}.safetensors`,
  ),
  "evaluation.json",
];

/** @param {string} name @param {string} file */
const read = (name, file) => readFileSync(join(folder, name, file));
/** @param {string} name @returns {string} of weights, moments, average and figures */
function hashOf(name) {
  const hash = createHash("sha256");
  for (const file of files) hash.update(read(name, file));
  return hash.digest("hex").slice(0, 12);
}

/** @param {string} name @returns {object[]} what each step was, without times and memory */
const stepsOf = (name) =>
  read(name, "numerics.jsonl")
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line))
    .filter(({ kind }) => kind === "step")
    .map(({ seconds, memory, phases, ranks, fault, bad_module, progress, ...figures }) => figures);

/**
 * One line for each part of a run: how many processes, and how it ends early.
 * @typedef {{ size: number, plan?: object }} Part
 * @param {string} name @param {object} extra @param {Part[]} parts
 */
async function run(name, extra, parts) {
  const began = performance.now();
  for (const [i, { size, plan = {} }] of parts.entries()) {
    const path = join(folder, name);
    const settings = i === 0 ? resolveSettings({ ...recipe, ...extra, outputDir: path }) : resumeConfig(path);
    const { ends } = await plannedGroup(size, { request: { settings, resume: i === 0 ? null : path }, ...plan });
    const failed = ends.find((end) => end !== "done");
    if (failed !== undefined && !("killed" in plan)) throw new Error(`${name}: ${JSON.stringify(ends)}`);
  }
  const { AP, steps: taken, skipped_steps: skipped } = JSON.parse(read(name, "summary.json").toString());
  return { name, hash: hashOf(name), seconds: (performance.now() - began) / 1000, AP, taken, skipped };
}

const step = { boxNormaliser: "step" };
const poisoned = [{ step: 4, microBatch: 1 }];
const quarter = Math.ceil(steps / 4);
/** @type {[reference: [string, object, Part[]], others: [string, object, Part[]][]][]} */
const table = [
  [
    ["1 process, 2 micro-batches", { ...step, gradAccumSteps: 2 }, [{ size: 1 }]],
    [
      ["2 processes", { processes: 2 }, [{ size: 2 }]],
      [
        "2 processes, one killed, then 1, then 2",
        { processes: 2 },
        [
          { size: 2, plan: { killed: { step: quarter, rank: 1 } } },
          { size: 1, plan: { stopped: { step: quarter, rank: 0 } } },
          { size: 2 },
        ],
      ],
    ],
  ],
  [
    ["1 process, 4 micro-batches", { ...step, gradAccumSteps: 4 }, [{ size: 1 }]],
    [
      ["4 processes", { processes: 4 }, [{ size: 4 }]],
      ["2 processes of a run for 4", { processes: 4 }, [{ size: 2 }]],
      [
        "4 processes, rank 0 killed, then 2, then 1, then 4",
        { processes: 4 },
        [
          { size: 4, plan: { killed: { step: quarter, rank: 0 } } },
          { size: 2, plan: { stopped: { step: quarter, rank: 1 } } },
          { size: 1, plan: { stopped: { step: quarter, rank: 0 } } },
          { size: 4 },
        ],
      ],
    ],
  ],
  [
    ["1 process of a run for 2, each with 2 micro-batches", { processes: 2, gradAccumSteps: 2 }, [{ size: 1 }]],
    [["2 processes, each with 2 micro-batches", { processes: 2, gradAccumSteps: 2 }, [{ size: 2 }]]],
  ],
  [
    [
      "1 process, a loss that is not finite, moments of 8 bits",
      { ...step, gradAccumSteps: 2, optimizerState: "8bit", precision: "bf16-mixed", scaler: {} },
      [{ size: 1, plan: { poisoned } }],
    ],
    [
      [
        "2 processes, a loss that is not finite on rank 1, moments of 8 bits",
        { processes: 2, optimizerState: "8bit", precision: "bf16-mixed", scaler: {} },
        [{ size: 2, plan: { poisoned } }],
      ],
    ],
  ],
];

let differing = 0;
console.log(`${values.model}, ${steps} steps, seed 3; hash of ${files.join(", ")}\n`);
console.log("| run | steps | skipped | AP | hash | same | seconds |\n|---|---|---|---|---|---|---|");
for (const [reference, others] of table) {
  const first = await run(...reference);
  const expected = JSON.stringify(stepsOf(first.name));
  for (const [i, entry] of [reference, ...others].entries()) {
    const made = i === 0 ? first : await run(...entry);
    const same = made.hash === first.hash && JSON.stringify(stepsOf(made.name)) === expected;
    if (!same) differing++;
    const verdict = i === 0 ? "" : same ? "yes" : "NO";
    const { name, taken, skipped, AP, hash, seconds } = made;
    console.log(
      `| ${name} | ${taken} | ${skipped} | ${AP === null ? "-" : AP.toFixed(4)} | ${hash} | ${verdict} | ${seconds.toFixed(0)} |`,
    );
  }
}
if (values.keep === undefined) rmSync(folder, { recursive: true });
process.exitCode = differing === 0 ? 0 : 1;
