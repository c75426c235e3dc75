#!/usr/bin/env node
// @ts-check
// The forward pass of this program beside OpenVINO, onnxruntime and the Python package, in turns, each time in a fresh
// process.
//
//   node bench/infer-peers.mjs [--models nano,small,medium,large] [--batch 1,8] [--precision 32-true,bf16-mixed]
//                              [--against openvino,onnxruntime,python] [--busy] [--isa avx2]
//                              [--python venv/bin/python] [--rounds 2] [--steps 20] [--json]
//
// --busy measures each also beside a process that keeps one core busy. --isa avx2 keeps every program that takes such
// a limit from AVX-512. A ratio is the time of another program over ours.
import { benchAgainst } from "rfdetr/instruments";
import { names, peerFlags } from "./peers.mjs";

const { values, say, common } = await peerFlags(
  {
    models: { type: "string", default: "nano,small,medium,large" },
    batch: { type: "string", default: "1,8" },
    precision: { type: "string", default: "32-true,bf16-mixed" },
    against: { type: "string", default: "openvino,onnxruntime,python" },
    busy: { type: "boolean", default: false },
  },
  ["openvino", "onnxruntime", "python"],
);
const results = [];
const cell = ({ seconds, ratio, unavailable }) =>
  seconds === null
    ? `– (${unavailable})`
    : `${(seconds * 1000).toFixed(1)} ms${ratio === null ? "" : ` (${ratio.median.toFixed(2)}×)`}`;
const programs = ["rfdetr", .../** @type {import("rfdetr/instruments").Peer[]} */ (values.against.split(","))];
for (const model of values.models.split(","))
  for (const batch of values.batch.split(",").map(Number)) {
    const result = await benchAgainst({
      what: "infer",
      model,
      batch,
      against: /** @type {any} */ (programs.slice(1)),
      precisions: /** @type {any} */ (values.precision.split(",")),
      steps: Number(values.steps ?? 20),
      warmup: 4,
      busy: values.busy,
      ...common,
      onProcess: ({ program, precision, busy, seconds }) =>
        say(
          `${model}, batch ${batch}, ${precision}${busy ? ", one core busy" : ""}: ${names[program]} ${seconds === null ? "–" : `${(seconds * 1000).toFixed(1)} ms`}`,
        ),
    });
    if (results.length === 0 && !values.json) {
      console.log(
        `${result.date}, ${result.machine}${result.isa === null ? "" : `, ${result.isa.toUpperCase()} at most`}\n`,
      );
      console.log(`| model, batch | precision | machine | ${programs.map((name) => names[name]).join(" | ")} |`);
      console.log(`|---|---|---|${programs.map(() => "---|").join("")}`);
    }
    results.push(result);
    if (values.json) continue;
    for (const { precision, measured, busy, programs: times } of result.rows)
      if (measured === "forward")
        console.log(
          `| ${model}, ${batch} | ${precision} | ${busy ? "one core busy" : "idle"} | ${programs.map((name) => cell(times.find(({ program }) => program === name) ?? { seconds: null, ratio: null, unavailable: "not measured" })).join(" | ")} |`,
        );
  }
if (values.json) console.log(JSON.stringify({ bench: "infer-peers", results }));
