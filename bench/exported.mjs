#!/usr/bin/env node
// @ts-check
// One picture through exported files: in Node, in OpenVINO, in Chromium, in transformers.js, and beside the detector's
// own forward pass. From pixels of the model's size to detections: normalised, run, post-processed; OpenVINO and
// transformers.js run the model alone.
//
//   node bench/exported.mjs [--model nano | --weights FILE --data DIR] [--precision fp32,fp16,int8] [--rounds 3]
//                           [--steps 15] [--transformers DIR] [--python PATH] [--json]
//
// Each figure is the median of a fresh process, in turns; --rounds 0 shows how long each export takes and no more.
// Without --weights they are filled and the data are drawn: what such files detect means nothing. DIR is a folder whose
// node_modules hold @huggingface/transformers, PATH a Python with openvino. Chromium is skipped where there is none.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine, median } from "rfdetr/support";
import { serveFolders } from "../packages/rfdetr/dist/onnx/serve-page.js";
import { chromiumPath, startChromium } from "../packages/rfdetr/dist/testing/pages/chromium.js";
import { filledWeights } from "./filled-weights.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    weights: { type: "string" },
    data: { type: "string" },
    precision: { type: "string", default: "fp32,fp16,int8" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "15" },
    transformers: { type: "string" },
    python: { type: "string" },
    json: { type: "boolean", default: false },
    child: { type: "string" },
  },
});
const steps = Number(values.steps);
const warmup = 4;

/** @typedef {{ kind: "own" | "node" | "openvino" | "chromium" | "transformers", file: string, precision: string, side: number }} Turn */

/** Milliseconds of each step. @param {() => unknown} step */
async function timed(step) {
  const times = [];
  for (let i = 0; i < warmup + steps; i++) {
    const start = performance.now();
    await step();
    if (i >= warmup) times.push(performance.now() - start);
  }
  return times;
}

/** @param {Turn} turn @returns {Promise<number[]>} milliseconds */
async function measure({ kind, file, precision, side }) {
  const { goldenPixels, OnnxModel } = await import("rfdetr/onnx");
  const pixels = goldenPixels(1, side, side);
  const image = { pixels, width: side, height: side };
  if (kind === "own") {
    letThreadsSleep();
    const { Predictor } = await import("rfdetr/predict");
    const predictor = Predictor.load(file, { precision: /** @type {any} */ (precision), device: "cpu" });
    return timed(() => predictor.detectSquares([image]));
  }
  if (kind === "node") {
    const model = await OnnxModel.open(file);
    return timed(() => model.detect([pixels], [image]));
  }
  if (kind === "openvino") return inOpenVino(file, precision, side);
  return kind === "chromium" ? inChromium(file, side) : inTransformers(file, side);
}

/** @param {string} file @param {number} side */
async function inChromium(file, side) {
  const dist = fileURLToPath(new URL("../packages/rfdetr/dist/", import.meta.url));
  const ort = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")));
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-page-"));
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>bench</title>");
  cpSync(file, join(folder, "model.onnx"));
  const server = await serveFolders({ "/dist/": dist, "/ort/": ort, "/": folder }, { port: 0 });
  const browser = await startChromium();
  try {
    const page = await browser.newPage();
    await page.goto(server.url);
    return await page
      .evaluate(
        /** @returns {Promise<number[]>} */
        async ([side, count]) => {
          const { RFDETR } = await import(/** @type {any} */ ("/dist/browser/index.js"));
          const detector = await RFDETR.load("/model.onnx", { runtimeFolder: "/ort/" });
          const image = new /** @type {any} */ (globalThis).ImageData(side, side);
          const times = [];
          for (let i = 0; i < count; i++) {
            const { milliseconds } = await detector.detect(image);
            times.push(milliseconds.model + milliseconds.results);
          }
          return times;
        },
        [side, warmup + steps],
      )
      .then((/** @type {number[]} */ times) => times.slice(warmup));
  } finally {
    await browser.close();
    await server.close();
    rmSync(folder, { recursive: true });
  }
}

/**
 * The forward pass alone, of the file in a folder as transformers.js wants it.
 * @param {string} folder @param {number} side
 */
async function inTransformers(folder, side) {
  const require = createRequire(join(values.transformers ?? "", "x.js"));
  const { AutoModelForObjectDetection, Tensor, env } = await import(
    pathToFileURL(require.resolve("@huggingface/transformers")).href
  );
  env.allowRemoteModels = false;
  env.localModelPath = dirname(folder);
  const model = await AutoModelForObjectDetection.from_pretrained("model", { dtype: "fp32", device: "cpu" });
  const input = new Tensor("float32", new Float32Array(3 * side * side), [1, 3, side, side]);
  return timed(() => model({ pixel_values: input }));
}

/**
 * The forward pass alone.
 * @param {string} file @param {string} hint `f32` or `bf16` @param {number} side @returns {number[]}
 */
function inOpenVino(file, hint, side) {
  const script = `import json, sys, time, numpy, openvino
path, hint, side, warmup, steps = sys.argv[1], sys.argv[2], *map(int, sys.argv[3:])
model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"})
x, times = numpy.zeros((1, 3, side, side), numpy.float32), []
for i in range(warmup + steps):
    start = time.perf_counter()
    model({"input": x})
    times.append(1000 * (time.perf_counter() - start))
print(json.dumps(times[warmup:]))`;
  const args = ["-c", script, file, hint, ...[side, warmup, steps].map(String)];
  return JSON.parse(execFileSync(values.python ?? "python3", args, { encoding: "utf8" }));
}

/** What OpenVINO can compute in here, such as FP32 and BF16. @returns {{ version: string, units: string[] }} */
function openVino() {
  const script = `import json, openvino
units = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
print(json.dumps({"version": openvino.__version__.split("-")[0], "units": units}))`;
  return JSON.parse(execFileSync(values.python ?? "python3", ["-c", script], { encoding: "utf8" }));
}

/** Writes the files of the weights. @param {string} folder */
async function makeFiles(folder) {
  const { loadModel } = await import("rfdetr/weights");
  const { exportOnnx, makeGraph, writeOnnx } = await import("rfdetr/export");
  const { sidesOf } = await import("rfdetr/model");
  const { weights, data } =
    values.weights === undefined
      ? await filledWeights(folder, values.model)
      : { weights: values.weights, data: values.data };
  const { model, classNames, config } = loadModel(weights);
  const files = [];
  for (const precision of /** @type {any[]} */ (values.precision.split(",")))
    for (const gridSample of precision === "fp32" ? [true, false] : [true]) {
      const out = join(folder, `${precision}${gridSample ? "" : "-gathers"}.onnx`);
      const began = performance.now();
      const images = data === undefined || precision === "fp32" ? {} : { data };
      await exportOnnx({ weights, out, precision, batch: 1, gridSample, ...images });
      console.error(`${basename(out)}: made and proved in ${((performance.now() - began) / 1000).toFixed(1)} s`);
      files.push({ name: `${precision}${gridSample ? "" : ", gathers"}`, file: out });
    }
  const [side] = sidesOf(config.resolution);
  if (values.transformers !== undefined) {
    const graph = makeGraph(model.eval(), { batch: 1, height: side, width: side });
    graph.inputs[0].name = "pixel_values";
    graph.outputs[0].name = "pred_boxes";
    graph.outputs[1].name = "logits";
    mkdirSync(join(folder, "model", "onnx"), { recursive: true });
    const path = join(folder, "model", "onnx", "model.onnx");
    writeOnnx(graph, path, { path: `${path}.data` }, { metadata: {}, version: "0" });
    writeFileSync(
      join(folder, "model", "config.json"),
      JSON.stringify({ model_type: "rf_detr", id2label: Object.fromEntries(classNames.entries()) }),
    );
  }
  return { weights, side, files, variant: config.variant };
}

/**
 * Files in OpenVINO, in bfloat16 too where the processor has units for it.
 * @param {{ name: string, file: string }[]} files @param {number} side
 */
function openVinoTurns(files, side) {
  const { version, units } = openVino();
  const hints = units.includes("BF16") ? ["f32", "bf16"] : ["f32"];
  if (hints.length === 1) console.error("This processor has no bfloat16 units: OpenVINO has no row in bfloat16.");
  return files
    .filter(({ name }) => !name.includes("gathers"))
    .flatMap(({ name, file }) =>
      (name === "fp32" ? hints : ["f32"]).map((hint) => ({
        ...{ kind: /** @type {const} */ ("openvino"), file, precision: hint, side },
        name: `OpenVINO ${version}, ${name}, computing in ${hint}`,
      })),
    );
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-exported-"));
  try {
    const { weights, side, files, variant } = await makeFiles(folder);
    const size = (/** @type {string} */ path) => `${(statSync(path).size / 2 ** 20).toFixed(1)} MiB`;
    /** @type {(Turn & { name: string, size: string })[]} */
    const turns = [
      ...["32-true", "bf16-mixed"].map((precision) => ({
        ...{ kind: /** @type {const} */ ("own"), file: weights, precision, side },
        ...{ name: `this program, ${precision}`, size: size(weights) },
      })),
      ...files.map(({ name, file }) => ({
        ...{ kind: /** @type {const} */ ("node"), file, precision: "", side },
        ...{ name: `onnxruntime-node, ${name}`, size: size(file) },
      })),
      ...(values.python === undefined ? [] : openVinoTurns(files, side)).map((turn) => ({
        ...turn,
        size: size(turn.file),
      })),
      ...(chromiumPath() === null ? [] : files).map(({ name, file }) => ({
        ...{ kind: /** @type {const} */ ("chromium"), file, precision: "", side },
        ...{ name: `Chromium, WebAssembly, ${name}`, size: size(file) },
      })),
      ...(values.transformers === undefined ? [] : [join(folder, "model")]).map((file) => ({
        ...{ kind: /** @type {const} */ ("transformers"), file, precision: "", side },
        ...{ name: "transformers.js in Node, fp32", size: size(join(file, "onnx", "model.onnx")) },
      })),
    ];
    if (values.rounds === "0") return;
    /** @type {number[][]} medians of the rounds */
    const rounds = turns.map(() => []);
    const args = [...process.argv.slice(1), "--child"];
    for (let round = 0; round < Number(values.rounds); round++)
      for (const [i, { name, size: _, ...turn }] of turns.entries()) {
        const out = execFileSync(process.execPath, [...args, JSON.stringify(turn)], { encoding: "utf8" });
        rounds[i].push(median(JSON.parse(out.split("\n").at(-2) ?? "")));
        if (!values.json) console.error(`${name}: ${rounds[i].at(-1)?.toFixed(1)} ms`);
      }
    const rows = turns.map(({ name, size }, i) => ({
      name,
      size,
      milliseconds: Math.min(...rounds[i]),
      ratio: median(rounds[i].map((time, round) => time / rounds[0][round])),
    }));
    if (values.json) console.log(JSON.stringify({ bench: "exported", model: variant, side, rows }));
    else print(variant, rows);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** @param {string} variant @param {{ name: string, size: string, milliseconds: number, ratio: number }[]} rows */
function print(variant, rows) {
  console.log(`${machineLine()}\n`);
  console.log(`| ${variant}, batch 1 | best median, ms | against this program in 32-true | file |`);
  console.log("|---|---|---|---|");
  for (const { name, milliseconds, ratio, size } of rows)
    console.log(`| ${name} | ${milliseconds.toFixed(1)} | ${ratio.toFixed(2)}× | ${size} |`);
}

if (values.child === undefined) await main();
else console.log(JSON.stringify(await measure(JSON.parse(values.child))));
