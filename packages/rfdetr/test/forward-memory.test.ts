// What is asked of a machine that has a megabyte: every way into a forward pass refuses it in one sentence.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { scope } from "@rfdetr/torch";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { exportOnnx } from "../src/export/export-onnx.js";
import { RFDETRModel } from "../src/model/rfdetr.js";
import { resolveModel } from "../src/model/variants.js";
import { evaluateOnnx } from "../src/onnx/evaluate-onnx.js";
import { Predictor } from "../src/predict/predict.js";
import { ModelHost } from "../src/predict/worker/model-host.js";
import { exportForTest } from "../src/testing/exported-detector.js";
import { saveWeights } from "../src/weights/weights.js";

vi.mock("../src/support/machine/memory.js", () => ({ availableMemory: () => 2 ** 20 }));

const folder = mkdtempSync(join(tmpdir(), "forward-memory-"));
const at = (name: string): string => join(folder, name);
const model = resolveModel("tiny", { numClasses: 1 });
const refused = (images: number, shape: string | number = model.resolution as number) =>
  expect.objectContaining({
    code: "ERR_CONFIG",
    message: expect.stringMatching(
      new RegExp(
        `^A forward pass on ${images} images? of ${shape} pixels would take about .*iB but 1.00 MiB are available$`,
      ),
    ),
    hint: "Choose a smaller batch or smaller images",
  });

beforeAll(async () => {
  const made = scope(() => new RFDETRModel(model));
  saveWeights(at("tiny.safetensors"), made.stateDict(), { classNames: ["owl"], config: model });
  exportForTest(at("tiny.onnx"), made, ["owl"]);
  const images = [..."abcdefghi"].map((name, id) => ({ id, file_name: `${name}.png`, width: 64, height: 64 }));
  const annotations = images.map(({ id }) => ({ id, image_id: id, category_id: 1, bbox: [1, 2, 30, 40], area: 1200 }));
  mkdirSync(at("data/valid"), { recursive: true });
  for (const { file_name } of images)
    await sharp({ create: { width: 64, height: 64, channels: 3, background: "#385" } }).toFile(
      join(at("data/valid"), file_name),
    );
  const truth = { images, annotations, categories: [{ id: 1, name: "owl" }] };
  writeFileSync(join(at("data/valid"), "_annotations.coco.json"), JSON.stringify(truth));
});
afterAll(() => rmSync(folder, { recursive: true }));

it("predict refuses a shape or a batch before it reads an image", async () => {
  const missing = at("missing.png");
  const predictor = Predictor.load(at("tiny.safetensors"), { device: "cpu" });
  await expect(predictor.detect(missing, { shape: [128, 256] })).rejects.toEqual(refused(1, "128×256"));
  predictor.dispose();
  const host = new ModelHost();
  for (const weights of [at("tiny.safetensors"), at("tiny.onnx")]) {
    const { key } = await host.load({ weights, precision: "auto", device: "cpu" });
    await expect(host.detect(key, Array(9).fill(missing), {})).rejects.toEqual(refused(9));
    await host.free(key);
  }
});

it("val refuses a batch, of no more images than there are", async () => {
  const options = { data: at("data"), split: "valid", batch: 10_000 } as const;
  await expect(
    evaluateWeights(at("tiny.safetensors"), { ...options, precision: "32-true", device: "cpu" }),
  ).rejects.toEqual(refused(9));
  await expect(evaluateOnnx(at("tiny.onnx"), options)).rejects.toEqual(refused(9));
});

it("export refuses a resolution or a batch, and leaves nothing", async () => {
  const before = readdirSync(folder);
  const options = { weights: at("tiny.safetensors"), out: at("out.onnx"), precision: "fp32" } as const;
  await expect(exportOnnx({ ...options, batch: 1, resolution: [256, 128] })).rejects.toEqual(refused(1, "256×128"));
  await expect(exportOnnx({ ...options, batch: 40 })).rejects.toEqual(refused(40));
  // onnxruntime, which proves the file, holds the matrix of an attention: three heads of 16384 × 16384 numbers.
  await expect(exportOnnx({ ...options, batch: 1, resolution: [1024, 1024] })).rejects.toThrow(
    /on 1 image of 1024 pixels would take about 3\.\d+ GiB but/,
  );
  expect(readdirSync(folder)).toEqual(before);
});
