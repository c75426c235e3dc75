#!/usr/bin/env node
// @ts-check
// What the precision of an exported file costs and saves: every form of a detector on the same images.
//
//   node bench/export-precision.mjs [--weights FILE --data DIR] [--model nano] [--json]
//
// Without weights, filled ones on drawn images: their best queries are compared.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exportOnnx } from "rfdetr/export";
import { machineLine } from "rfdetr/support";
import { driftText } from "../packages/rfdetr/dist/export/precision/drift-text.js";
import { filledWeights } from "./filled-weights.mjs";

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
  if (weights === undefined) ({ weights, data } = await filledWeights(folder, values.model));
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
