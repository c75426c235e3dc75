// Training, evaluation, prediction and export of images that are no squares.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { augmentPresets, type Batch, DataLoader, openDataset, synthesize } from "../src/data/index.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { exportOnnx } from "../src/export/export-onnx.js";
import { Predictor } from "../src/predict/predict.js";
import { openTrainData } from "../src/run/session/open-train-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { readModelConfig } from "../src/weights/weights.js";

const folder = mkdtempSync(join(tmpdir(), "rectangles-"));
const data = join(folder, "data");
beforeAll(() => synthesize(data, { images: 12, size: 64, classes: 2 }));
afterAll(() => rmSync(folder, { recursive: true }));

describe("images that are prepared as rectangles", () => {
  it("have the asked size, also after quarter turns, and boxes inside of it", async () => {
    const { images } = openDataset(data, "train");
    const order = images.map((_, i) => i);
    for (const augment of [augmentPresets.none, { D4: { p: 1 } }, { RandomRotate90: { p: 1 } }]) {
      const recipe = { size: [48, 80] as const, training: true, scaleJitter: true, augment };
      const loader = new DataLoader({ recipe, workers: 0 });
      for await (const batch of loader.batches(images, { order, batchSize: 4, seedOf: (i) => [1, i] })) {
        expect([batch.height, batch.width]).toEqual([48, 80]);
        expect(batch.images).toHaveLength(batch.targets.length * 48 * 80 * 3);
        for (const { boxes } of batch.targets)
          for (let i = 0; i < boxes.length; i += 4) {
            const [x, y, w, h] = boxes.subarray(i, i + 4);
            expect(Math.min(x - w / 2, y - h / 2)).toBeGreaterThan(-1e-6);
            expect(Math.max(x + w / 2, y + h / 2)).toBeLessThan(1 + 1e-6);
          }
      }
      await loader.close();
    }
  });

  it("hold the whole image, with its boxes at the same fractions", async () => {
    const file = join(folder, "half.png");
    const half = await sharp({ create: { width: 40, height: 20, channels: 3, background: "#fff" } })
      .png()
      .toBuffer();
    const black = { create: { width: 80, height: 20, channels: 3 as const, background: "#000" } };
    await sharp(black)
      .composite([{ input: half, left: 0, top: 0 }])
      .toFile(file);
    const { images } = openDataset(data, "train");
    const boxes = Float32Array.of(0, 0, 40, 20);
    const image = { ...images[0], file, width: 80, height: 20, boxes, labels: Int32Array.of(0) };
    const recipe = { size: [16, 24] as const, training: false, scaleJitter: false, augment: augmentPresets.none };
    const loader = new DataLoader({ recipe, workers: 0 });
    const { value } = await loader.batches([image], { order: [0], batchSize: 1, seedOf: () => [] }).next();
    const batch = value as Batch;
    await loader.close();
    expect([...batch.targets[0].boxes]).toEqual([0.25, 0.5, 0.5, 1]);
    const column = (x: number): number => batch.images[(8 * 24 + x) * 3];
    expect([column(2), column(9), column(14), column(22)]).toEqual([255, 255, 0, 0]);
  });
});

describe("a run with a rectangle as its resolution", () => {
  it("trains at rectangles of several sizes; evaluation, prediction and export see the trained one", async () => {
    const outputDir = join(folder, "run");
    const settings = resolveSettings({
      model: "tiny",
      datasetDir: data,
      outputDir,
      resolution: [64, 96],
      epochs: 1,
      maxSteps: 3,
      batchSize: 2,
      seed: 3,
      tensorboard: false,
    });
    const sizes: unknown[] = [];
    for await (const event of train({ settings, resume: null, stop: new Int32Array(1) }, openTrainData))
      if (event.type === "step") sizes.push(event.size);
    expect(sizes).toHaveLength(3);
    for (const size of sizes) {
      const [height, width] = size as number[];
      expect([height % 16, width % 16]).toEqual([0, 0]);
      expect(width / height).toBeGreaterThan(1.2);
    }
    const weights = join(outputDir, "weights", "last.safetensors");
    expect(readModelConfig(weights)).toMatchObject({ resolution: [64, 96], positionalEncodingSize: 12 });
    expect(JSON.parse(readFileSync(join(outputDir, "config.json"), "utf8")).settings.resolution).toEqual([64, 96]);

    const options = { data, split: "valid", batch: 2, precision: "32-true", device: "cpu" } as const;
    const { evaluator } = await evaluateWeights(weights, options);
    expect(evaluator.images).toBeGreaterThan(0);

    const predictor = Predictor.load(weights, { device: "cpu" });
    expect(predictor.info.resolution).toEqual([64, 96]);
    const exported = await exportOnnx({ weights, out: join(folder, "x.onnx"), precision: "fp32", batch: 1, data });
    expect(exported.proof?.flips).toBe(0);
  });

  it("refuses sides that windows and patches do not divide, before anything is written", () => {
    const run = (resolution: unknown) => resolveSettings({ model: "tiny", datasetDir: data, resolution } as object);
    expect(() => run([64])).toThrow(
      "Expected positive integer up to 16384, or height and width such as [384, 640] for resolution",
    );
    expect(() => run([64, 0])).toThrow("for resolution");
  });
});
