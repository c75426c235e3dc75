#!/usr/bin/env node
// @ts-check
// Damaged and forged files for every reader of the program, from a seed:
//
//   npm run build && npm run fuzz -- [--files 3000] [--seed 1] [--only "YOLO"] [--keep FOLDER]
//
// Each must be read or refused in one sentence, within 20 seconds and 2 GB; else the command fails and names it.
import { parseArgs } from "node:util";
import { fuzz, limits, outcomes } from "./fuzz.mjs";

const { values } = parseArgs({
  options: {
    files: { type: "string", default: "3000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    keep: { type: "string" },
  },
});
const { counts, bad, peak, longest } = await fuzz({
  files: Number(values.files),
  seed: Number(values.seed),
  only: values.only,
  keep: values.keep,
  progress: (done) => {
    if (done % 100 === 0) console.error(`${done} of ${values.files} files`);
  },
});
const width = Math.max(...[...counts.keys()].map((name) => name.length));
console.log(["".padEnd(width), ...outcomes].join("  "));
for (const [name, row] of counts)
  console.log([name.padEnd(width), ...outcomes.map((one) => String(row[one]).padStart(one.length))].join("  "));
console.log(
  `longest ${longest.toFixed(1)} s of ${limits.seconds}, largest memory ${(peak / 1e9).toFixed(2)} GB of ${limits.bytes / 1e9}`,
);
for (const { kind, number, outcome, message, path } of bad)
  console.log(`\nfile ${number} of seed ${values.seed} (${kind}, ${path}): ${outcome}\n${message}`);
console.log(`${Number(values.files) - bad.length} right, ${bad.length} wrong`);
process.exitCode = bad.length > 0 ? 1 : 0;
