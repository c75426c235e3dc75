#!/usr/bin/env node
// @ts-check
// What the precision of an exported file costs and saves: every form of a detector on the same images.
//
//   node bench/export-precision.mjs [--weights FILE --data DIR] [--model nano] [--json]
//
// Without weights, those of a seed, whose scores are no detections: the queries of the highest scores are compared.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exportOnnx } from "rfdetr/export";
import { RFDETRModel, resolveModel } from "rfdetr/model";
import { machineLine } from "rfdetr/support";
import { saveWeights } from "rfdetr/weights";
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
  let { weights } = values;
  if (weights === undefined) {
    const config = resolveModel(/** @type {any} */ (values.model));
    const model = new RFDETRModel(config);
    fillModel(model);
    weights = join(folder, "weights.safetensors");
    const classNames = Array.from({ length: config.numClasses }, (_, i) => `class ${i}`);
    saveWeights(weights, model.stateDict(), { classNames, config });
  }
  const { drift } = await exportOnnx({
    ...{ weights, out: join(folder, "model.onnx"), precision: "fp32", batch: 1, report: true },
    ...(values.data === undefined ? {} : { data: values.data }),
  });
  if (drift === null) throw new Error("onnxruntime-node is not installed");
  if (values.json) console.log(JSON.stringify(drift));
  else console.log(`${machineLine()}\n\n${driftText(drift)}`);
} finally {
  rmSync(folder, { recursive: true });
}
