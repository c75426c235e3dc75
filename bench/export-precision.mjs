#!/usr/bin/env node
// @ts-check
// What the precision of an exported file costs and saves: every form of a detector on the same images.
//
//   node bench/export-precision.mjs [--weights FILE --data DIR] [--model nano] [--json]
//
// Without weights, filled ones on drawn images: their best queries are compared. Queries that learned nothing all look
// the same, so that rounding, which changes the order of untrained proposals, does not pair them with others.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { noGrad, ops } from "@rfdetr/torch";
import { synthesize } from "rfdetr/data";
import { exportOnnx } from "rfdetr/export";
import { RFDETRModel, resolveModel } from "rfdetr/model";
import { machineLine } from "rfdetr/support";
import { saveWeights } from "rfdetr/weights";
import { emojiClasses } from "../packages/rfdetr/dist/data/synth/synth-sprites.js";
import { driftText } from "../packages/rfdetr/dist/export/precision/drift-text.js";
import { fillModel } from "../packages/rfdetr/dist/instruments/deterministic-fill.js";

const { values } = parseArgs({
  options: {
    weights: { type: "string" },
    data: { type: "string" },
    model: { type: "string", default: "nano" },
    json: { type: "boolean", default: false },
  },
});
const folder = mkdtempSync(join(tmpdir(), "export-precision-"));
try {
  let { weights, data } = values;
  if (weights === undefined) {
    const classNames = emojiClasses.slice(0, 8);
    const config = resolveModel(/** @type {any} */ (values.model), { numClasses: classNames.length });
    const model = new RFDETRModel(config);
    fillModel(model);
    noGrad(() => {
      for (const { weight } of [model.queryFeat, model.refpointEmbed]) ops.zero_(weight);
    });
    weights = join(folder, "weights.safetensors");
    saveWeights(weights, model.stateDict(), { classNames, config });
    data = join(folder, "data");
    await synthesize(data, { images: 48, size: config.resolution, classes: classNames.length });
  }
  const { drift } = await exportOnnx({
    ...{ weights, out: join(folder, "model.onnx"), precision: "fp32", batch: 1, report: true },
    ...(data === undefined ? {} : { data }),
  });
  if (drift === null) throw new Error("onnxruntime-node is not installed");
  if (values.json) console.log(JSON.stringify(drift));
  else console.log(`${machineLine()}\n\n${driftText(drift)}`);
} finally {
  rmSync(folder, { recursive: true });
}
