#!/usr/bin/env node
// @ts-check
// One picture through exported files: in Node, in Chromium, in transformers.js where it is installed, and beside the
// detector's own forward pass. From pixels of the model's size to detections: normalised, run, post-processed.
//
//   node bench/exported.mjs [--model nano | --weights FILE] [--precision fp32,fp16] [--rounds 3] [--steps 15]
//                           [--transformers DIR] [--json]
//
// Each figure is the median of a fresh process, in turns. Without --weights they are those of a seed, which no
// precision below fp32 can be proved with: their candidates differ by rounding alone. DIR is a folder whose
// node_modules hold @huggingface/transformers. Chromium is skipped where there is none.
import { execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine, median } from "rfdetr/support";
import { chromiumPath, startChromium } from "../packages/rfdetr/dist/testing/pages/chromium.js";
import { serve } from "../packages/rfdetr/dist/testing/pages/static-server.js";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    weights: { type: "string" },
    precision: { type: "string", default: "fp32" },
    rounds: { type: "string", default: "3" },
    steps: { type: "string", default: "15" },
    transformers: { type: "string" },
    json: { type: "boolean", default: false },
    child: { type: "string" },
  },
});
const steps = Number(values.steps);
const warmup = 4;

/** @typedef {{ kind: "own" | "node" | "chromium" | "transformers", file: string, precision: string, side: number }} Turn */

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
  return kind === "chromium" ? inChromium(file, side) : inTransformers(file, side);
}

/** @param {string} file @param {number} side */
async function inChromium(file, side) {
  const dist = fileURLToPath(new URL("../packages/rfdetr/dist/", import.meta.url));
  const ort = dirname(fileURLToPath(import.meta.resolve("onnxruntime-web/ort-wasm-simd-threaded.wasm")));
  const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-page-"));
  writeFileSync(join(folder, "index.html"), "<!doctype html><title>bench</title>");
  cpSync(file, join(folder, "model.onnx"));
  const server = await serve({ "/dist/": dist, "/ort/": ort, "/": folder }, true);
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

/** Writes the weights of a seed. @param {string} folder */
async function seeded(folder) {
  const { manualSeed } = await import("@rfdetr/torch");
  const { RFDETRModel, resolveModel } = await import("rfdetr/model");
  const { saveWeights } = await import("rfdetr/weights");
  manualSeed(0);
  const config = resolveModel(/** @type {any} */ (values.model));
  const classNames = Array.from({ length: config.numClasses }, (_, i) => `class ${i}`);
  const weights = join(folder, "weights.safetensors");
  saveWeights(weights, new RFDETRModel(config).stateDict(), { classNames, config });
  return weights;
}

/** Writes the files of the weights. @param {string} folder */
async function makeFiles(folder) {
  const { loadModel } = await import("rfdetr/weights");
  const { exportOnnx, makeGraph, writeOnnx } = await import("rfdetr/export");
  const weights = values.weights ?? (await seeded(folder));
  const { model, classNames, config } = loadModel(weights);
  const files = [];
  for (const precision of /** @type {any[]} */ (values.precision.split(",")))
    for (const gridSample of precision === "fp32" ? [true, false] : [true]) {
      const out = join(folder, `${precision}${gridSample ? "" : "-gathers"}.onnx`);
      await exportOnnx({ weights, out, precision, batch: 1, gridSample });
      files.push({ name: `${precision}${gridSample ? "" : ", gathers"}`, file: out });
    }
  if (values.transformers !== undefined) {
    const graph = makeGraph(model.eval(), { batch: 1, height: config.resolution, width: config.resolution });
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
  return { weights, side: config.resolution, files, variant: config.variant };
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
      ...(chromiumPath() === null ? [] : files).map(({ name, file }) => ({
        ...{ kind: /** @type {const} */ ("chromium"), file, precision: "", side },
        ...{ name: `Chromium, WebAssembly, ${name}`, size: size(file) },
      })),
      ...(values.transformers === undefined ? [] : [join(folder, "model")]).map((file) => ({
        ...{ kind: /** @type {const} */ ("transformers"), file, precision: "", side },
        ...{ name: "transformers.js in Node, fp32", size: size(join(file, "onnx", "model.onnx")) },
      })),
    ];
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
