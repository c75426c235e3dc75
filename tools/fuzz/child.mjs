// @ts-check
// Reads damaged files, one after the other, and tells how each reading ended. The parent watches time and memory.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  checkDataset,
  datasetStats,
  decodeFile,
  hasSplit,
  openDataset,
} from "../../packages/rfdetr/dist/data/index.js";
import { regionMasks } from "../../packages/rfdetr/dist/data/region-masks.js";
import { evaluateFiles } from "../../packages/rfdetr/dist/eval/coco/coco-files.js";
import { NumericsReader, numericsText, summarizeNumerics } from "../../packages/rfdetr/dist/report/index.js";
import { loadCheckpoint, soundCheckpoint } from "../../packages/rfdetr/dist/run/files/checkpoint/checkpoint.js";
import { resumeConfig } from "../../packages/rfdetr/dist/run/session/resume.js";
import { readConfigFile, resolveSettings } from "../../packages/rfdetr/dist/settings/resolve.js";
import { isUserError } from "../../packages/rfdetr/dist/support/errors.js";
import { loadModel } from "../../packages/rfdetr/dist/weights/index.js";

/** @param {unknown} tensors */
function dispose(tensors) {
  if (tensors instanceof Map) for (const tensor of tensors.values()) tensor.dispose();
}

/** @type {Record<string, (path: string) => unknown>} */
const readers = {
  weights(path) {
    dispose(loadModel(path, { warn() {} }).model.stateDict());
  },
  async dataset(path) {
    await checkDataset(path);
    openDataset(path, "train");
    if (hasSplit(path, "valid")) openDataset(path, "valid");
    datasetStats(path);
    await checkDataset(path, { decode: false, masks: true });
    for (const image of openDataset(path, "train", { masks: true }).images)
      regionMasks(image, image.height, image.width);
  },
  image: (path) => decodeFile(path),
  results: (path) => evaluateFiles(join(path, "annotations.json"), join(path, "results.json")),
  run(path) {
    resumeConfig(path);
    const checkpoint = join(path, "checkpoint");
    soundCheckpoint(checkpoint);
    const { model, ema, optimizer } = loadCheckpoint(checkpoint);
    for (const tensors of [model, ema?.tensors]) dispose(tensors);
    const { expAvg, expAvgSq, expAvgScale, expAvgSqScale } = optimizer;
    for (const tensor of [...expAvg, ...expAvgSq, ...(expAvgScale ?? []), ...(expAvgSqScale ?? [])]) tensor?.dispose();
  },
  numerics(path) {
    const reader = new NumericsReader(path, { points: 20, watched: 2 });
    reader.read();
    numericsText(summarizeNumerics(reader.record()));
  },
  settings: (path) => resolveSettings(readConfigFile(path)),
};

process.on("message", async (/** @type {{reader: string, path: string}} */ { reader, path }) => {
  // The largest memory of this process is counted anew from here.
  try {
    writeFileSync("/proc/self/clear_refs", "5");
  } catch {
    // Other systems have no such count.
  }
  let outcome = "accepted";
  let message = "";
  try {
    await readers[reader](path);
    if (/** @type {any} */ ({}).polluted !== undefined) outcome = "polluted";
  } catch (error) {
    outcome =
      isUserError(error) && !/\n\s+at /.test(error.message) && error.message.length < 4000 ? "refused" : "fault";
    message = error instanceof Error ? (outcome === "fault" ? String(error.stack) : error.message) : String(error);
  }
  process.send?.({ outcome, message: message.slice(0, 2000) });
});
process.on("disconnect", () => process.exit(0));
process.send?.({ outcome: "ready", message: "" });
