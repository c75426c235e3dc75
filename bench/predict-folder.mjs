#!/usr/bin/env node
// @ts-check
// Predicting and evaluating a folder of JPEGs: images a second, beside the rate of the model alone on images that are
// prepared already.
//
//   node bench/predict-folder.mjs [--model nano] [--images 64] [--size 640x480] [--batch 1,8] [--precision auto]
//                                 [--json]
//
// What a rate lacks of the model's own is time in which the model waits for images, and time that decoding takes from
// it on the same cores.
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine } from "rfdetr/support";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    images: { type: "string", default: "64" },
    size: { type: "string", default: "640x480" },
    batch: { type: "string", default: "1,8" },
    precision: { type: "string", default: "auto" },
    json: { type: "boolean", default: false },
  },
});
letThreadsSleep();
const { manualSeed } = await import("@rfdetr/torch");
const { resolvePrecision } = await import("@rfdetr/amp");
const { writePhotographs } = await import("rfdetr/instruments");
const { RFDETRModel, resolveModel } = await import("rfdetr/model");
const { Predictor } = await import("rfdetr/predict");
const { saveWeights } = await import("rfdetr/weights");
const { evaluateWeights } = await import("rfdetr/eval");
const { RFDETR } = await import("rfdetr");

const count = Number(values.images);
const [width, height] = values.size.split("x").map(Number);
const { precision } = resolvePrecision(/** @type {any} */ (values.precision), "cpu");
const folder = mkdtempSync(join(tmpdir(), "rfdetr-bench-predict-"));
const rows = [];
let report;
try {
  const bytes = await writePhotographs(folder, { images: count, width, height });
  manualSeed(0);
  const config = resolveModel(/** @type {any} */ (values.model), { numClasses: 1 });
  const model = new RFDETRModel(config);
  const weights = join(folder, "weights.safetensors");
  saveWeights(weights, model.stateDict(), { classNames: ["thing"], config });
  const files = readdirSync(join(folder, "train"))
    .filter((name) => name.endsWith(".jpg"))
    .map((name) => join(folder, "train", name));
  const predictor = new Predictor(model, { classNames: ["thing"], precision, device: "cpu" });
  for (const batch of values.batch.split(",").map(Number)) {
    const alone = modelAlone(predictor, batch);
    const predicted = await predictFiles(weights, files, batch);
    const start = performance.now();
    // Opening the data and the weights counts here, as it does for a user.
    await evaluateWeights(weights, { data: folder, split: "train", batch, precision, device: "cpu" });
    const evaluated = count / ((performance.now() - start) / 1000);
    const again = modelAlone(predictor, batch);
    const model_images_per_second = (alone + again) / 2;
    for (const [what, rate] of [
      ["predict of a folder", predicted],
      ["evaluation", evaluated],
    ])
      rows.push({
        what,
        batch,
        images_per_second: rate,
        model_images_per_second,
        share: Number(rate) / model_images_per_second,
      });
  }
  const date = new Date().toISOString().slice(0, 10);
  report = {
    bench: "predict-folder",
    date,
    machine: machineLine(),
    model: values.model,
    precision,
    images: count,
    width,
    height,
    bytes,
    rows,
  };
} finally {
  rmSync(folder, { recursive: true, force: true });
}
if (values.json) console.log(JSON.stringify(report));
else {
  console.log(
    `${report.date}, ${report.machine}; ${values.model}, ${precision}, ${count} JPEGs of ${width} × ${height}, ${report.bytes} bytes each\n`,
  );
  console.log("| | batch | images/s | the model alone | of it |\n|---|---|---|---|---|");
  for (const { what, batch, images_per_second: rate, model_images_per_second: alone, share } of rows)
    console.log(`| ${what} | ${batch} | ${rate.toFixed(1)} | ${alone.toFixed(1)} | ${(100 * share).toFixed(0)} % |`);
}

/** Images a second from prepared pixels to detections. */
function modelAlone(predictor, batch) {
  const side = predictor.config.resolution;
  const pixels = Uint8Array.from({ length: side * side * 3 }, (_, i) => (i * 7919) & 255);
  const squares = Array.from({ length: batch }, () => ({ pixels, width, height }));
  const runs = Math.max(3, Math.ceil(count / batch / 2));
  for (let i = 0; i < 2; i++) predictor.detectSquares(squares);
  const start = performance.now();
  for (let i = 0; i < runs; i++) predictor.detectSquares(squares);
  return (runs * batch) / ((performance.now() - start) / 1000);
}

/** Images a second of the library's predict, from the second batch on: the first waits for the model to be loaded. */
async function predictFiles(weights, files, batch) {
  const detector = await RFDETR.load(weights, { precision, device: "cpu" });
  try {
    await detector.predict(files.slice(0, batch), { batch });
    const start = performance.now();
    let done = 0;
    for await (const _ of detector.predict(files, { batch })) done++;
    return done / ((performance.now() - start) / 1000);
  } finally {
    await detector.dispose();
  }
}
