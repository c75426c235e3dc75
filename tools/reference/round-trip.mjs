#!/usr/bin/env node
// @ts-check
// A round trip between the Python package and this program, with the numbers side by side:
//
//   npm run build && node tools/reference/round-trip.mjs [--python PATH] [--steps 20]
//
// Python makes a random Nano and saves it (.pth); both predict with it. It is trained here for some steps, written as
// .pth, and Python loads that with its safe loader; both predict again. PATH is a Python that has rfdetr 1.11.2;
// without one a virtual environment is made (about 1 GB). Fails when boxes or scores of the best detections differ by
// more than 0.05 px or 1e-4.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const { values } = parseArgs({ options: { python: { type: "string" }, steps: { type: "string", default: "20" } } });
const folder = mkdtempSync(join(tmpdir(), "round-trip-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const at = (name) => join(folder, name);

function run(command, args, options = {}) {
  const { status, stdout } = spawnSync(command, args, {
    stdio: ["ignore", "pipe", 2],
    encoding: "utf8",
    maxBuffer: 1 << 28,
    ...options,
  });
  if (status !== 0) {
    process.stderr.write(`${command} ${args.join(" ")} ended with ${status}\n`);
    process.exit(1);
  }
  return stdout;
}

function pythonWithPackage() {
  if (values.python !== undefined) return values.python;
  const venv = here("../../node_modules/.cache/rfdetr-python");
  const python = join(venv, "bin", "python");
  if (!existsSync(python)) {
    run("python3", ["-m", "venv", venv]);
    run(python, ["-m", "pip", "install", "--quiet", "rfdetr[train]==1.11.2"]);
  }
  return python;
}

const python = pythonWithPackage();
const rfdetr = (...args) => run(process.execPath, [here("../../packages/rfdetr/bin/rfdetr.mjs"), ...args]);
const inPython = (...args) => run(python, [here("round_trip.py"), ...args]);
const say = (text) => process.stderr.write(`${text}\n`);

/** Predictions of both on one image, paired by rank. @returns whether they agree */
function compare(title, python, ours) {
  say(`\n${title}\n   python: box, score, class${" ".repeat(28)}here: box, score, class`);
  const row = ({ box, score, class_id }) =>
    `${box.map((v) => v.toFixed(2).padStart(7)).join(" ")}  ${score.toFixed(5)} ${String(class_id).padStart(2)}`;
  const count = Math.min(20, python.length, ours.length);
  let [pixels, scores, classes] = [0, 0, 0];
  for (let i = 0; i < count; i++) {
    if (i < 5) say(`   ${row(python[i])}   ${row(ours[i])}`);
    pixels = Math.max(pixels, ...python[i].box.map((v, c) => Math.abs(v - ours[i].box[c])));
    scores = Math.max(scores, Math.abs(python[i].score - ours[i].score));
    if (python[i].class_id !== ours[i].class_id) classes++;
  }
  say(
    `   best ${count}: largest difference ${pixels.toExponential(1)} px, ${scores.toExponential(1)} in score, ${classes} other classes`,
  );
  return { pixels, scores, classes, agrees: count > 0 && pixels < 0.05 && scores < 1e-4 && classes === 0 };
}

rfdetr("data", "synth", at("data"), "--images", "64");
const annotations = JSON.parse(readFileSync(join(at("data"), "train", "_annotations.coco.json"), "utf8"));
const names = annotations.categories
  .filter(({ id }) => annotations.annotations.some(({ category_id: used }) => used === id))
  .map(({ name }) => name);
const image = join(
  at("data"),
  "valid",
  JSON.parse(readFileSync(join(at("data"), "valid", "_annotations.coco.json"), "utf8")).images[0].file_name,
);

function both(title, weights) {
  inPython("predict", weights, image, at("python.json"));
  const ours = JSON.parse(
    rfdetr(
      "predict",
      image,
      "--weights",
      weights,
      "--threshold",
      "0",
      "--precision",
      "32-true",
      "--json",
      "--out",
      at("drawn"),
    ),
  );
  return compare(title, JSON.parse(readFileSync(at("python.json"), "utf8")), ours.images[0].detections);
}

inPython("make", at("random.pth"), JSON.stringify(names));
const before = both("A random Nano made by the Python package", at("random.pth"));
rfdetr(
  "train",
  "--data",
  at("data"),
  "--model",
  "nano",
  "--weights",
  at("random.pth"),
  "--out",
  at("run"),
  "--set",
  `max_steps=${values.steps}`,
  "--batch",
  "2",
  "--seed",
  "0",
);
rfdetr("convert", at("run"), at("trained.pth"));
const after = both(
  `The same after ${values.steps} steps of training here, loaded by the package's safe loader`,
  at("trained.pth"),
);
writeFileSync(1, `${JSON.stringify({ before, after })}\n`);
process.exit(before.agrees && after.agrees ? 0 : 1);
