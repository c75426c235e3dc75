#!/usr/bin/env node
// Training steps of this program and of the Python package, each in a fresh process, taken in turns (A B A B …) in one run.
//
//   node bench/side-by-side.mjs --python venv/bin/python [--model nano] [--batch 2] [--rounds 2] [--steps 5]
//
// Prints a Markdown table: medians over the rounds, and the ratio of the medians with the span of the rounds' own ratios.
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const { values } = parseArgs({
  options: {
    python: { type: "string" },
    model: { type: "string", default: "nano" },
    batch: { type: "string", default: "2" },
    rounds: { type: "string", default: "2" },
    steps: { type: "string", default: "5" },
  },
});
if (values.python === undefined) {
  console.error("Expected --python with an interpreter that has rfdetr 1.11.2; see bench/peer_train.py");
  process.exit(2);
}
const { model, batch, steps } = values;
const at = (path) => fileURLToPath(new URL(path, import.meta.url));

function run(command, args) {
  const result = spawnSync(command, args, { encoding: "utf8", maxBuffer: 1 << 26 });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${result.stderr.slice(-2000)}`);
  return JSON.parse(result.stdout.trim().split("\n").at(-1));
}
const ours = (precision) => {
  const result = run(process.execPath, [
    at("../packages/rfdetr/bin/rfdetr.mjs"),
    "bench",
    "train",
    "--model",
    model,
    "--batch",
    batch,
    "--steps",
    steps,
    "--precision",
    precision,
    "--json",
  ]);
  return Array.isArray(result) ? result[0] : result;
};
const theirs = (precision) =>
  run(values.python, [at("./peer_train.py"), "--model", model, "--batch", batch, "--steps", steps, "--precision", precision]);

const median = (list) => [...list].sort((a, b) => a - b)[(list.length - 1) >> 1];
const rows = [];
for (let round = 0; round < Number(values.rounds); round++)
  for (const precision of ["32-true", "bf16-mixed"]) {
    const pair = { precision, theirs: theirs(precision), ours: ours(precision) };
    rows.push(pair);
    console.error(
      `${precision}: package ${pair.theirs.seconds.step.median.toFixed(3)} s, ours ${pair.ours.seconds.step.median.toFixed(3)} s`,
    );
  }
const of = (precision, who, pick) => rows.filter((row) => row.precision === precision).map((row) => pick(row[who]));
const step = (r) => r.seconds.step.median;
console.log(
  `${new Date().toISOString().slice(0, 10)}, ${cpus().length} × ${cpus()[0].model}, ${model}, batch ${batch}, medians of ${values.rounds} rounds of ${steps} steps\n`,
);
console.log(
  "| precision | rfdetr 1.11.2 (Python), s/step | this program, s/step | ratio | rounds | peak RSS Python, MiB | ours, MiB |\n|---|---|---|---|---|---|---|",
);
for (const precision of ["32-true", "bf16-mixed"]) {
  const [a, b] = ["theirs", "ours"].map((who) => of(precision, who, step));
  const ratios = a.map((value, i) => value / b[i]);
  const rss = ["theirs", "ours"].map((who) => Math.round(median(of(precision, who, (r) => r.peak_rss_bytes)) / 2 ** 20));
  console.log(
    `| ${precision} | ${median(a).toFixed(3)} | ${median(b).toFixed(3)} | ${(median(a) / median(b)).toFixed(2)}× | ${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)} | ${rss[0]} | ${rss[1]} |`,
  );
}
const shipped = median(of("32-true", "theirs", step)) / median(of("bf16-mixed", "ours", step));
console.log(`\nThe package as shipped (float32 on every CPU) against this program's own choice here (bf16-mixed): ${shipped.toFixed(2)}×`);
