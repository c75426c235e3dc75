#!/usr/bin/env node
// @ts-check
// Makes the folder of a run that overflows in float16: one weight grows step by step. The monitor and its forecast see
// the overflow coming; then steps are skipped, a command gives the module the rule fp32, and the run goes on.
//
//   npm run build && node tools/planted-overflow.mjs --out DIR [--steps N] [--no-remedy]
//
// With `--steps 20` the run is stopped while the overflow is foreseen and has not come yet.
import { existsSync } from "node:fs";
import { parseArgs } from "node:util";
import { synthesize } from "../packages/rfdetr/dist/data/index.js";
import { openTrainData } from "../packages/rfdetr/dist/run/session/open-train-data.js";
import { plantedOverflow } from "../packages/rfdetr/dist/testing/runs/planted-overflow.js";

const { values } = parseArgs({
  options: {
    out: { type: "string" },
    steps: { type: "string", default: "60" },
    "no-remedy": { type: "boolean", default: false },
  },
});
const { out, steps, "no-remedy": noRemedy } = values;
if (out === undefined) {
  process.stderr.write("Expected --out DIR for the folder of the run\n");
  process.exit(2);
}
const datasetDir = `${out}-data`;
if (!existsSync(datasetDir)) await synthesize(datasetDir, { images: 24, size: 64, classes: 3, seed: 1 });
// Nothing is foreseen beyond the planned end: a short run is stopped before it.
const [stopAfter, maxSteps] = [Number(steps), Math.max(60, Number(steps))];
const run = { datasetDir, outputDir: out, openData: openTrainData, maxSteps, stopAfter, remedy: !noRemedy };
for await (const event of plantedOverflow(run))
  if (event.type === "warning" || event.type === "control") console.log(event.message);
  else if (event.type === "step" && event.skipped) console.log(`step ${event.step} is skipped`);
console.log(`The run is in ${out}; look at it with: npx rfdetr numerics ${out}`);
