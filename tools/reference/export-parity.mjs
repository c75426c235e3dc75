#!/usr/bin/env node
// @ts-check
// Exports of the Python package and of this program, of the same weights, side by side:
//
//   npm run build && node tools/reference/export-parity.mjs --python PATH [--variants nano,small,medium,large]
//
// PATH is a Python that has rfdetr 1.11.2, onnx, onnxruntime and openvino, and onnxsim for the nodes after it.
// Python makes a random model and its own .onnx; this program exports the same weights with GridSample and with
// gathers. Both files pass ONNX's checker and strict shape inference, run in onnxruntime and OpenVINO, and are compared
// with the package's file: outputs, and what the package's own readers detect in a picture. The package's file is
// loaded by this program and must detect the same. Fails where the best detections differ by more than 0.01 px or 1e-4,
// or where a file has more nodes than the package's.
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { exportOnnx } from "../../packages/rfdetr/dist/export/index.js";
import { RFDETR } from "../../packages/rfdetr/dist/index.js";

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

/** @typedef {{ boxes: number[][], scores: number[], classes: number[] }} Found in pixels of the picture */

/** Detections by class, then by left edge: equal scores may change places. @param {Found} found */
function inOrder({ boxes, scores, classes }) {
  const all = boxes.map((box, i) => ({ box, score: scores[i], label: classes[i] }));
  return all.sort((a, b) => a.label - b.label || a.box[0] - b.box[0] || a.box[1] - b.box[1]);
}

/** The largest differences of two lists of detections. @param {Found} a @param {Found} b @param {string} what */
function apart(a, b, what) {
  const [all, others] = [inOrder(a), inOrder(b)];
  if (all.length < 20 || all.length !== others.length || all.some(({ label }, i) => label !== others[i].label))
    throw new Error(`${what}: ${others.length} detections, not the same ${all.length}`);
  const px = Math.max(...all.flatMap(({ box }, i) => box.map((edge, k) => Math.abs(edge - others[i].box[k]))));
  const score = Math.max(...all.map((each, i) => Math.abs(each.score - others[i].score)));
  if (!(px <= 0.01 && score <= 1e-4)) throw new Error(`${what}: ${px} px and ${score} off`);
  return { detections: all.length, px, score };
}

/**
 * What this program detects with the package's file.
 * @param {string} file @param {{ picture: string, threshold: number }} options
 */
async function withTheirFile(file, { picture, threshold }) {
  const classNames = Array.from({ length: 90 }, (_, i) => `name ${i}`);
  const detector = await RFDETR.load(file, { classNames });
  const found = await detector.predict(picture, { threshold, antialias: false });
  await detector.dispose();
  for (const { className, classId } of found)
    if (className !== `name ${classId}`) throw new Error(`class ${classId} has the name ${className}`);
  const columns = { boxes: found.map(({ box }) => box), scores: found.map(({ score }) => score) };
  return { ...columns, classes: found.map(({ classId }) => classId) };
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
  const { readers, ...found } = JSON.parse(python("check", folder));
  const theirs = readers.found.python;
  const detected = {
    "the package's reader, this program's file": apart(theirs, readers.found.ours, "the package's reader"),
    "the package's reader, gathers": apart(theirs, readers.found.gathers, "the package's reader with gathers"),
    "this program, the package's file": apart(
      theirs,
      await withTheirFile(join(folder, "python.onnx"), readers),
      "the package's file in this program",
    ),
  };
  console.log(variant, JSON.stringify({ seconds: Number(seconds.toFixed(1)), proof, ...found, detected }, null, 1));
  for (const name of ["ours", "gathers"])
    for (const runtime of ["python", "openvino"]) {
      const { px, score } = found[name][runtime];
      if (!(px <= 0.01 && score <= 1e-4))
        throw new Error(`${name} of ${variant} differs in ${runtime}: ${px} px, ${score}`);
    }
  for (const [name, { openvino }] of Object.entries(readers.found))
    if (!(openvino.px <= 0.01 && openvino.score <= 1e-4))
      throw new Error(`the package's OpenVINO reader differs with ${name} of ${variant}: ${JSON.stringify(openvino)}`);
  const most = found.python.simplified ?? found.python.nodes;
  if (found.ours.nodes > most) throw new Error(`${variant} has ${found.ours.nodes} nodes, the package's file ${most}`);
  rmSync(folder, { recursive: true });
}
