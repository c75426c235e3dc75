#!/usr/bin/env node
// @ts-check
// Checks this program on a GPU, in about ten minutes: parity with the CPU, number formats, learning, speed, memory and
// accuracy of every precision, the automatic batch, a resumed run, and the Python package beside it. docs/gpu.md says
// what to expect.
//
//   node tools/gpu-check.mjs [--device cuda:0] [--model nano,seg-nano] [--batch 4] [--python PYTHON] [--out FILE]
//                            [--only parity,devices,formats,learning,claims,batch,resume,processes,python]
//   node tools/gpu-check.mjs --table gpu-check.json      (the report as a section of bench/RESULTS.md)
//
// `--device cpu` runs the same checks on the CPU, `--device meta` those that need no values: shapes, dtypes, devices
// and what would wait for a GPU. `--quick` takes a tiny model and few steps. Ctrl-C ends after the step that is running
// and keeps what was found.
import { readFileSync, writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { setupOrExit } from "../packages/torch/setup/main.mjs";
import { Report, table } from "./gpu-check/report.mjs";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda:0" },
    model: { type: "string" },
    batch: { type: "string" },
    python: { type: "string" },
    out: { type: "string", default: "gpu-check.json" },
    table: { type: "string" },
    only: { type: "string" },
    quick: { type: "boolean", default: false },
  },
});
if (values.table !== undefined) {
  process.stdout.write(table(JSON.parse(readFileSync(values.table, "utf8"))));
  process.exit(0);
}
const { device, quick, python, out } = values;
/** In the order in which they run; loaded after set-up. @type {Record<string, () => Promise<Function>>} */
const sections = {
  parity: async () => (await import("./gpu-check/parity.mjs")).parity,
  devices: async () => (await import("./gpu-check/devices.mjs")).devices,
  formats: async () => (await import("./gpu-check/formats.mjs")).formats,
  learning: async () => (await import("./gpu-check/learning.mjs")).learning,
  claims: async () => (await import("./gpu-check/claims.mjs")).claims,
  batch: async () => (await import("./gpu-check/runs.mjs")).automaticBatch,
  resume: async () => (await import("./gpu-check/runs.mjs")).resume,
  processes: async () => (await import("./gpu-check/processes.mjs")).processes,
  python: async () => (await import("./gpu-check/claims.mjs")).besidePython,
};
const names = Object.keys(sections);
const wanted = values.only?.split(",") ?? names;
const unknown = wanted.find((name) => !names.includes(name));
if (unknown !== undefined) {
  process.stderr.write(`Expected --only to name some of ${names.join(", ")}, but received ${unknown}\n`);
  process.exit(2);
}
const options = {
  device,
  quick,
  python,
  models: (values.model ?? (quick ? "tiny,seg-tiny" : "nano,seg-nano")).split(","),
  batch: Number(values.batch ?? (quick ? 1 : 4)),
};
await setupOrExit({ cuda: device.startsWith("cuda") });
const { engine, zeros } = await import("@rfdetr/torch");
const { readHardware } = await import("@rfdetr/amp");
if (device.startsWith("cuda")) {
  try {
    zeros([1], { device }).dispose();
  } catch (error) {
    process.stderr.write(
      `${device} cannot be used with libtorch ${engine().version}: ${error.message.split("\n")[0]}. Run npm run setup -- --cuda on a machine with an NVIDIA GPU and its driver, or point LIBTORCH at a CUDA libtorch.\n`,
    );
    process.exit(1);
  }
}

const hardware = readHardware(device === "meta" ? "cpu" : device);
const report = new Report({
  ...options,
  hardware: [hardware.name, ...hardware.features].join(" "),
  libtorch: engine().version,
});
process.on("SIGINT", () => report.interrupt());
process.stderr.write(`libtorch ${engine().version} on ${device}: ${report.about.hardware}\n`);

for (const [name, load] of Object.entries(sections))
  if (wanted.includes(name)) await report.section(name, async () => (await load())(report, options));
writeFileSync(out, `${JSON.stringify(report.data(), null, 2)}\n`);
const { passed, failed, interrupted } = report.data();
process.stdout.write(
  `${report.text()}\nreport: ${out}\n${interrupted ? "interrupted: " : ""}${passed} passed, ${failed} failed\n`,
);
process.exit(interrupted ? 130 : failed > 0 ? 1 : 0);
