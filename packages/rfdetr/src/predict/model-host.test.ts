import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, memory, scope } from "@rfdetr/torch";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveModel } from "../model/variants.js";
import { saveWeights } from "../weights/weights.js";
import { ModelHost } from "./model-host.js";
import type { ImagePrediction } from "./types.js";

let folder: string;
let weights: string;
let photo: Buffer;
const request = () => ({ weights, precision: "32-true", device: "cpu" }) as const;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "host-"));
  weights = join(folder, "tiny.safetensors");
  manualSeed(0);
  const config = resolveModel("tiny", { numClasses: 2 });
  const tensors = scope(() => new RFDETRModel(config)).stateDict();
  saveWeights(weights, tensors, { classNames: ["cat", "dog"], config });
  for (const tensor of tensors.values()) tensor.dispose();
  photo = await sharp({ create: { width: 90, height: 60, channels: 3, background: "#c84" } })
    .jpeg()
    .toBuffer();
});
afterAll(() => rmSync(folder, { recursive: true }));

describe("the models of the prediction thread", () => {
  it("are shared by detectors of the same weights and precision, and freed by the last", async () => {
    const host = new ModelHost();
    const before = memory().liveTensors;
    const first = await host.load(request());
    const loaded = memory().liveTensors;
    const second = await host.load(request());
    expect(second.key).toBe(first.key);
    expect(memory().liveTensors).toBe(loaded);
    expect(first.info).toEqual({
      model: "tiny",
      classNames: ["cat", "dog"],
      resolution: resolveModel("tiny").resolution,
      precision: "32-true",
      device: "cpu",
      warnings: [],
    });
    await host.free(first.key);
    await host.detect(second.key, [photo], {});
    await host.free(second.key);
    expect(memory().liveTensors).toBe(before);
  });

  it("take no memory from one prediction to the next, and none once they are gone", async () => {
    const host = new ModelHost();
    const before = memory();
    const live: number[] = [];
    for (let round = 0; round < 4; round++) {
      const { key } = await host.load({ ...request(), precision: round % 2 === 0 ? "32-true" : "bf16-mixed" });
      for (let i = 0; i < 5; i++) {
        await host.detect(key, [photo, photo], { antialias: i % 2 === 0 });
        if (i > 0) live.push(memory().liveTensors);
      }
      await host.free(key);
      expect(memory().liveTensors).toBe(before.liveTensors);
      expect(new Set(live.splice(0)).size).toBe(1);
    }
    expect(memory().liveBytes).toBe(before.liveBytes);
  });

  it("give each image of a batch its own result, or the error that it cannot be read with", async () => {
    const host = new ModelHost();
    const { key } = await host.load(request());
    const missing = join(folder, "missing.jpg");
    const [good, bad, alike] = await host.detect(key, [photo, missing, photo], { threshold: 0 });
    expect(good).toMatchObject({ width: 90, height: 60 });
    expect((good as ImagePrediction).detections.length).toBeGreaterThan(0);
    expect(bad).toMatchObject({ name: "PictureError", code: "ERR_PICTURE_INPUT" });
    expect((bad as Error).message).toContain(missing);
    expect((alike as ImagePrediction).detections.length).toBe((good as ImagePrediction).detections.length);
    expect(await host.detect(key, [missing], {})).toHaveLength(1);
    await host.free(key);
  });
});
