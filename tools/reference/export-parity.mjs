#!/usr/bin/env node
// @ts-check
// Exports of the Python package and of this program, of the same weights, side by side:
//
//   npm run build && node tools/reference/export-parity.mjs --python PATH [--variants nano,small,medium,large]
//
// PATH is a Python that has rfdetr 1.11.2, onnx, onnxruntime and openvino, and onnxsim for the nodes after it.
// Python makes a random model and its own .onnx; this program exports the same weights with GridSample and with
// gathers. Both files pass ONNX's checker and strict shape inference, run in onnxruntime and OpenVINO, and are compared
// with the package's file. Fails where the best detections differ by more than 0.01 px or 1e-4, or where a file has more
// nodes than the package's.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportOnnx } from "../../packages/rfdetr/dist/export/index.js";

const { values } = parseArgs({
  options: { python: { type: "string", default: "python3" }, variants: { type: "string", default: "nano" } },
});
const script = fileURLToPath(new URL("export_parity.py", import.meta.url));
const root = mkdtempSync(join(tmpdir(), "export-parity-"));
process.on("exit", () => rmSync(root, { recursive: true, force: true }));

/** @param {string[]} args */
function python(...args) {
  const { status, stdout } = spawnSync(values.python, [script, ...args], {
    stdio: ["ignore", "pipe", 2],
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`export_parity.py ${args.join(" ")} ended with ${status}`);
  return stdout.trim().split("\n").at(-1) ?? "";
}

for (const variant of values.variants.split(",")) {
  const folder = join(root, variant);
  mkdirSync(folder);
  python("make", variant, folder);
  const weights = join(folder, `${variant}.pth`);
  const options = /** @type {const} */ ({ weights, precision: "fp32", batch: 1 });
  const start = performance.now();
  const { proof } = await exportOnnx({ ...options, out: join(folder, "ours.onnx") });
  const seconds = (performance.now() - start) / 1000;
  await exportOnnx({ ...options, out: join(folder, "gathers.onnx"), gridSample: false });
  const found = JSON.parse(python("check", folder));
  console.log(variant, JSON.stringify({ seconds: Number(seconds.toFixed(1)), proof, ...found }, null, 1));
  for (const name of ["ours", "gathers"])
    for (const runtime of ["python", "openvino"]) {
      const { px, score } = found[name][runtime];
      if (!(px <= 0.01 && score <= 1e-4))
        throw new Error(`${name} of ${variant} differs in ${runtime}: ${px} px, ${score}`);
    }
  for (const name of ["ours", "gathers"])
    if (!found[name].readers.same)
      throw new Error(`the package's reader finds other objects with ${name} of ${variant}`);
  const most = found.python.simplified ?? found.python.nodes;
  if (found.ours.nodes > most) throw new Error(`${variant} has ${found.ours.nodes} nodes, the package's file ${most}`);
  rmSync(folder, { recursive: true });
}
