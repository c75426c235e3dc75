import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { noGrad, ops, type Tensor } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../../data/synth/synth.js";
import { emojiClasses } from "../../data/synth/synth-sprites.js";
import { fillModel } from "../../instruments/peers/deterministic-fill.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { trainedIn } from "../../testing/trained-weights.js";
import { saveWeights } from "../../weights/weights.js";
import { exportOnnx } from "../export-onnx.js";
import type { Drift, DriftForm } from "./drift.js";
import { driftText } from "./drift-text.js";

const classNames = emojiClasses.slice(0, 2);
const config = resolveModel("tiny", { numClasses: 2 });

describe("the drift of an exported detector", () => {
  let folder: string;
  let drift: Drift;
  const form = (name: string): DriftForm => drift.forms.filter((each) => each.name === name)[0];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "drift-"));
    const weights = join(folder, "tiny.safetensors");
    const model = new RFDETRModel(config).eval();
    fillModel(model);
    // Scores around the threshold, so that there are detections.
    noGrad(() => void ops.add_(model.classEmbed.bias as Tensor, 4.6));
    saveWeights(weights, model.stateDict(), { classNames, config, trained: trainedIn("bf16-mixed") });
    const data = join(folder, "data");
    await synthesize(data, { images: 12, size: 64, classes: 2 });
    const options = { weights, data, batch: 1, report: true } as const;
    const result = await exportOnnx({ ...options, out: join(folder, "tiny.onnx"), precision: "fp32" });
    drift = result.drift as Drift;
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("has a row for each form, in the order in which they are made", () => {
    expect(drift.forms.map(({ name, hop }) => [name, hop?.from])).toEqual([
      ["libtorch float32", undefined],
      ["libtorch bf16-mixed", "libtorch float32"],
      ["ONNX float32", "libtorch float32"],
      ["ONNX float16, islands", "ONNX float32"],
      ["ONNX float16, whole", "ONNX float32"],
      ["ONNX int8", "ONNX float32"],
      ["ONNX float32, wasm", "ONNX float32"],
    ]);
    expect(drift.forms.every(({ AP }) => AP !== null)).toBe(true);
    expect(drift.images).toBe(2);
    expect(form("ONNX float32, wasm").error?.score.max).toBeLessThan(1e-5);
    expect(drift.missing).toEqual([
      expect.stringMatching(/^WebGPU has no row: .* rfdetr demo-page shows its error\.$/),
    ]);
  });

  it("measures less for float32 than for float16, which is smaller", () => {
    const [single, islands] = ["ONNX float32", "ONNX float16, islands"].map(
      (name) => form(name).error?.score.mean as number,
    );
    expect(single).toBeLessThan(1e-5);
    expect(islands).toBeGreaterThan(single);
    expect(islands).toBeLessThan(0.01);
    const [file, low] = [form("ONNX float32").bytes as number, form("ONNX float16, islands").bytes as number];
    expect(low).toBeLessThan(0.75 * file);
  });

  it("follows every detection through all forms", () => {
    expect(drift.detections.length).toBe(form("ONNX float32").error?.detections);
    const [{ score, forms }] = drift.detections;
    expect(Object.keys(forms)).toEqual(drift.forms.slice(1).map(({ name }) => name));
    expect(forms["ONNX float32"]?.score).toBeCloseTo(score, 5);
    expect(forms["ONNX float32"]?.box_px).toBeLessThan(0.001);
  });

  it("lies beside the file, for people and for programs", () => {
    expect(JSON.parse(readFileSync(join(folder, "tiny.onnx.drift.json"), "utf8"))).toEqual(drift);
    expect(readFileSync(join(folder, "tiny.onnx.drift.txt"), "utf8")).toBe(driftText(drift));
  });
});

it("is shown as tables, with what a form lacks", () => {
  const spread = (value: number) => ({ max: value, p99: value, mean: value });
  const error = { detections: 1, lost: 0, box_px: spread(0.5), score: spread(0.25), flips: 1 };
  const text = driftText({
    images: 1,
    threshold: 0.5,
    forms: [
      { name: "first", AP: 0.5, milliseconds: 10, bytes: null, error: null, hop: null },
      { name: "second", AP: 0.25, milliseconds: 5, bytes: 2048, error, hop: { from: "first", ...error } },
    ],
    detections: [
      { image: 7, class: "cat", box: [0, 0, 1, 1], score: 0.75, forms: { second: { score: 0.5, box_px: 0.5 } } },
      { image: 8, class: "dog", box: [0, 0, 1, 1], score: 0.25, forms: { second: null } },
    ],
    missing: ["A third form has no row: make it."],
  });
  expect(text).toContain(
    "2 detections on 1 image: a query counts once for each class with a score of 0.1 or more, at least the best 16 of an image; 1 from 0.5 on",
  );
  expect(text).toMatch(/^second +0.50 +0.50 +0.25 +0.25 +0 +1 +0.2500 +5.0 +2.00 KiB$/m);
  expect(text).toMatch(/^second +first +0.50 +0.50 +0.25 +0.25 +0 +1$/m);
  expect(text).toMatch(/^ *7 +cat +0.750 +0.500 0.50 px$/m);
  expect(text).toMatch(/^ *8 +dog +0.250 +none$/m);
  expect(text.endsWith("\n\nA third form has no row: make it.\n")).toBe(true);
});
