import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { synthesize } from "../src/data/index.js";
import { readDetails } from "../src/eval/details/details-file.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { Predictor } from "../src/predict/predict.js";
import type { TrainEvent } from "../src/run/events/events.js";
import { openTrainData } from "../src/run/session/open-train-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";

const folder = mkdtempSync(join(tmpdir(), "learning-"));
const data = join(folder, "data");
const out = join(folder, "run");
const events: TrainEvent[] = [];

beforeAll(async () => {
  await synthesize(data, { images: 300, size: 96, seed: 0 });
  // 300 steps of 8 images from random weights: half a minute on two cores.
  const settings = resolveSettings({
    model: "tiny",
    datasetDir: data,
    outputDir: out,
    seed: 0,
    epochs: 9,
    maxSteps: 300,
    batchSize: 8,
    lr: 1e-3,
    lrEncoder: 1e-3,
    lrVitLayerDecay: 1,
    lrComponentDecay: 1,
    lrScheduler: "cosine",
    minFactor: 0.01,
    warmupEpochs: 0.6,
    emaDecay: 0.99,
    multiScale: "off",
    scaleJitter: false,
    evalInterval: 100,
    tensorboard: false,
  });
  for await (const event of train({ settings, resume: null, stop: new Int32Array(1) }, openTrainData))
    events.push(event);
}, 600_000);

afterAll(() => rmSync(folder, { recursive: true }));

const epochs = () => events.filter((event) => event.type === "epoch");

describe("a tiny detector, trained from random weights in the precision that auto picks", () => {
  it("lowers its loss", () => {
    const losses = epochs().map(({ loss }) => loss);
    expect(losses.at(-1)).toBeLessThan(0.6 * losses[0]);
  });

  // The recipe reached 0.795 with one seed; seeds differ by about 0.03.
  it("finds objects in images that it never saw: AP50 above 0.5", () => {
    const done = events.at(-1) as Extract<TrainEvent, { type: "done" }>;
    expect(done.summary).toMatchObject({ steps: 300, skipped_steps: 0, stop_reason: "max_steps" });
    expect(done.summary.AP50).toBeGreaterThan(0.5);
  });

  it("leaves weights that score the same when loaded again", async () => {
    const { summary } = await evaluateWeights(join(out, "weights", "best.safetensors"), {
      data,
      split: "valid",
      batch: 8,
      precision: "auto",
      device: "cpu",
    });
    const written = JSON.parse(readFileSync(join(out, "summary.json"), "utf8"));
    expect([summary.AP, summary.AP50]).toEqual([written.AP, written.AP50]);
  });

  it("leaves weights that know the thresholds which its evaluation found best", () => {
    const { best_threshold, per_class } = readDetails(join(out, "evaluation-best.json"));
    expect(best_threshold.f1).toBeGreaterThan(0);
    const classes = per_class.flatMap(({ class_name, best }) => (best === null ? [] : [[class_name, best.threshold]]));
    expect(classes.length).toBeGreaterThan(0);
    const { info } = Predictor.load(join(out, "weights", "best.safetensors"));
    expect(info.thresholds).toEqual({ "*": best_threshold.threshold, ...Object.fromEntries(classes) });
  });

  it("predicts boxes inside the image, best first, above the threshold", async () => {
    const predictor = Predictor.load(join(out, "weights", "best.safetensors"));
    const { width, height, detections } = await predictor.detect(join(data, "valid", "valid-00000.jpg"), {
      threshold: 0.3,
    });
    expect([width, height]).toEqual([96, 96]);
    expect(detections.length).toBeGreaterThan(0);
    for (const [i, { box, score, className }] of detections.entries()) {
      expect(Math.min(...box)).toBeGreaterThanOrEqual(0);
      expect(Math.max(...box)).toBeLessThanOrEqual(96);
      expect(score).toBeGreaterThan(0.3);
      expect(className).not.toBe("__background__");
      if (i > 0) expect(score).toBeLessThanOrEqual(detections[i - 1].score);
    }
  });
});
