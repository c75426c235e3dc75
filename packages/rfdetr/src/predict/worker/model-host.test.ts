import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { manualSeed, memory, scope } from "@rfdetr/torch";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { blackPng } from "../../testing/black-png.js";
import { saveWeights } from "../../weights/weights.js";
import type { ImagePrediction } from "../types.js";
import { ModelHost } from "./model-host.js";

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
  const evaluated = { thresholds: '{"*":1,"dog":0}' };
  saveWeights(join(folder, "evaluated.safetensors"), tensors, { classNames: ["cat", "dog"], config, extra: evaluated });
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
      numberFormat: null,
      device: "cpu",
      thresholds: null,
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

  it("give a picture that is decoded part by part its own error, and the others of its batch their results", async () => {
    const host = new ModelHost();
    const { key } = await host.load(request());
    const large = blackPng(9000, 8000);
    const cut = large.subarray(0, large.length - 200);
    const [bad, good] = await host.detect(key, [cut, photo], { tiles: 4000 });
    expect(bad).toMatchObject({ name: "PictureError", code: "ERR_PICTURE_INPUT" });
    expect((bad as Error).message).toMatch(/ends in the middle/);
    expect(good).toMatchObject({ width: 90, height: 60 });
    await host.free(key);
  });

  it("report what is selected, and refuse names of classes that the model does not have", async () => {
    const host = new ModelHost();
    const { key } = await host.load(request());
    const [all] = (await host.detect(key, [photo], { threshold: 0 })) as ImagePrediction[];
    const dogs = all.detections.filter(({ className }) => className === "dog");
    const [some] = (await host.detect(key, [photo], {
      threshold: { "*": 1, dog: 0 },
      classes: ["cat", "dog"],
      maxDetections: 3,
    })) as ImagePrediction[];
    expect(some.detections).toEqual(dogs.slice(0, 3));
    await expect(host.detect(key, [photo], { classes: ["dgo"] })).rejects.toThrow("did you mean dog?");
    await host.free(key);
  });

  it("take the thresholds that their weights recorded, and refuse them of weights without", async () => {
    const host = new ModelHost();
    const evaluated = join(folder, "evaluated.safetensors");
    const { key } = await host.load({ ...request(), weights: evaluated });
    const none = await host.load(request());
    for (const [threshold, meant] of [
      ["best", 1],
      ["best-by-class", { "*": 1, dog: 0 }],
      [{ dog: "best" }, { dog: 0 }],
    ] as const) {
      const found = await host.detect(key, [photo], { threshold });
      expect(found).toEqual(await host.detect(key, [photo], { threshold: meant }));
      expect((found[0] as ImagePrediction).detections.length > 0).toBe(meant !== 1);
      await expect(host.detect(none.key, [photo], { threshold })).rejects.toThrow(`"best" but ${weights} has none`);
    }
    for (const each of [key, none.key]) await host.free(each);
  });

  it("drop a request that was cancelled, and answer those around it", async () => {
    const host = new ModelHost();
    const { key } = await host.load(request());
    const cancelled = AbortSignal.abort(new Error("not wanted"));
    const results = await Promise.allSettled([
      host.detect(key, [photo], {}),
      host.detect(key, [photo], {}, cancelled),
      host.detect(key, [photo], {}),
    ]);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(results[1]).toMatchObject({ reason: new Error("not wanted") });
    await host.free(key);
  });

  it("hold the same tensors after 300 predictions as after one", async () => {
    const host = new ModelHost();
    const { key } = await host.load(request());
    await host.detect(key, [photo], {});
    const { liveTensors, liveBytes } = memory();
    for (let i = 0; i < 300; i++) await host.detect(key, [photo], { maxDetections: 1 });
    expect(memory()).toMatchObject({ liveTensors, liveBytes });
    await host.free(key);
  });
});
