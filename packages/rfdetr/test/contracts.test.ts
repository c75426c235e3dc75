// What programs read of the command: every promised key of its JSON and of the folder of a run.
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { folder, rfdetr } from "./command-script.js";

const weights = ["--weights", "run"];

/** Runs a command with `--json`. @returns its exit code and the one object that it printed */
function json(...args: string[]) {
  const { status, stdout } = rfdetr(...args, "--json");
  return { status, result: JSON.parse(stdout) };
}

const inRun = (...names: string[]): string => join(folder, "run", ...names);
const read = (...names: string[]) => JSON.parse(readFileSync(inRun(...names), "utf8"));

beforeAll(() => {
  rfdetr("data", "synth", "birds", "--images", "12", "--size", "96", "--classes", "3");
  const quick = ["--set", "multi_scale=off", "--epochs", "1", "--batch", "2", "--seed", "7", "--no-amp"];
  expect(rfdetr("train", "--data", "birds", "--model", "tiny", "--out", "run", ...quick).status).toBe(0);
});

describe("the folder of a run", () => {
  it("has every promised file, and no lock after its end", () => {
    const names = readdirSync(inRun());
    expect(names).toEqual(
      expect.arrayContaining([
        ...["checkpoint", "config.json", "log.txt", "metrics.csv", "numerics.jsonl", "pictures", "report.html"],
        ...["summary.json", "weights", expect.stringMatching(/^events\.out\.tfevents\./)],
      ]),
    );
    expect(existsSync(inRun("lock"))).toBe(false);
    expect(readdirSync(inRun("weights"))).toEqual(["best.safetensors", "last.safetensors"]);
    expect(readdirSync(inRun("checkpoint"))).toContain("SHA256SUMS");
    expect(readdirSync(inRun("pictures"))).toEqual(
      expect.arrayContaining([
        ...["confusion.svg", "f1.svg", "labels.jpg", "precision-recall.svg", "validation-1.jpg"],
        ...["train-batch-1.jpg", "train-batch-2.jpg", "train-batch-3.jpg"],
      ]),
    );
  });

  it("has the loss as the weighted sum of its terms over all layers", () => {
    const [header = "", row = ""] = readFileSync(inRun("metrics.csv"), "utf8").split("\n");
    const values = row.split(",").map(Number);
    const of = (name: string): number => values[header.split(",").indexOf(`train/${name}`)] ?? Number.NaN;
    const all = (name: string): number => of(name) + of(`${name}_aux`);
    const sum = all("loss_ce") + 5 * all("loss_bbox") + 2 * all("loss_giou");
    expect(of("loss") / sum).toBeCloseTo(1, 4);
  });

  it("has a summary with the promised keys", () => {
    expect(read("summary.json")).toMatchObject({
      AP: expect.any(Number),
      AP50: expect.any(Number),
      precision: "32-true",
      reason: expect.any(String),
      epochs: 1,
      steps: 6,
      skipped_steps: 0,
      train_seconds: expect.any(Number),
      peak_rss_bytes: expect.any(Number),
      stop_reason: "finished",
      best_epoch: 1,
      error: null,
      started: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
    });
  });

  it("has settings, versions, hardware and seed, a row an epoch and a record a step", () => {
    expect(read("config.json")).toMatchObject({
      seed: 7,
      hardware: expect.any(String),
      settings: { dataset_dir: "birds", grad_accum_steps: 1, lr_encoder: expect.any(Number) },
      versions: { rfdetr: expect.any(String), node: process.version, libtorch: expect.any(String) },
    });
    expect(readFileSync(inRun("metrics.csv"), "utf8").trim().split("\n")).toHaveLength(2);
    const lines = readFileSync(inRun("numerics.jsonl"), "utf8").trim().split("\n");
    const steps = lines.map((line) => JSON.parse(line)).filter(({ kind }) => kind === "step");
    expect(steps).toHaveLength(6);
    for (const key of ["precision", "scale", "found_inf", "skipped", "grad_norm", "bad_module", "bad_parameter"])
      expect(steps[0]).toHaveProperty(key);
  });
});

describe("JSON of", () => {
  it("predict: boxes in pixels of the original image, best first", () => {
    const { result } = json("predict", "birds/valid", ...weights, "--threshold", "0");
    for (const { width, height, detections } of result.images) {
      const scores = detections.map(({ score }: { score: number }) => score);
      expect(scores.length).toBeGreaterThan(1);
      expect(scores).toEqual(scores.toSorted((a: number, b: number) => b - a));
      for (const { box } of detections) {
        const [x1, y1, x2, y2] = box;
        expect(0 <= x1 && x1 <= x2 && x2 <= width && 0 <= y1 && y1 <= y2 && y2 <= height).toBe(true);
      }
      const largest = Math.max(...detections.map(({ box }: { box: number[] }) => box[2]));
      expect(largest).toBeGreaterThan(1);
    }
  });

  it("export: the proof, with AP of the weights and of the file", () => {
    const { status, result } = json("export", ...weights, "--data", "birds", "--out", "birds.onnx");
    expect(status).toBe(0);
    expect(result).toMatchObject({
      out: "birds.onnx",
      opset: expect.any(Number),
      precision: "fp32",
      bytes: readFileSync(join(folder, "birds.onnx")).length,
      nodes: expect.any(Number),
      images: 2,
      max_box_error_px: expect.any(Number),
      max_score_error: expect.any(Number),
      flips: 0,
      AP: { ours: expect.any(Number), export: expect.any(Number) },
    });
  });

  it("data check: what training does about each fault, and exit code 1 where it refuses", () => {
    const sound = json("data", "check", "birds");
    expect(sound).toMatchObject({ status: 0, result: { ok: true, splits: { train: { images: 12 } }, findings: [] } });
    rfdetr("data", "synth", "faulty", "--images", "12", "--size", "96", "--classes", "3");
    const file = join(folder, "faulty", "train", "_annotations.coco.json");
    const annotations = JSON.parse(readFileSync(file, "utf8"));
    const [{ id }] = annotations.annotations;
    annotations.annotations[0].bbox = [5, 5, 0, 4];
    writeFileSync(file, JSON.stringify(annotations));
    const repaired = { split: "train", id, file: expect.any(String), training: "repaired" };
    const keys = { check: expect.any(String), message: expect.any(String) };
    expect(json("data", "check", "faulty")).toMatchObject({
      status: 0,
      result: { findings: [{ ...keys, ...repaired }] },
    });
    annotations.annotations[0].category_id = 99;
    writeFileSync(file, JSON.stringify(annotations));
    const { status, result } = json("data", "check", "faulty");
    expect([status, result.ok]).toEqual([1, false]);
    expect(result.findings).toContainEqual(expect.objectContaining({ ...keys, ...repaired, training: "refused" }));
    const refused = json("train", "--data", "faulty", "--model", "tiny", "--out", "refused");
    expect(refused).toMatchObject({ status: 1, result: { error: { code: "ERR_DATA", message: expect.any(String) } } });
  });

  it("bench infer: milliseconds of forward and of prediction", () => {
    const { result } = json("bench", "infer", "--model", "tiny", "--steps", "2", "--warmup", "1");
    const times = { median: expect.any(Number), min: expect.any(Number) };
    expect(result).toMatchObject({
      model: "tiny",
      precision: expect.any(String),
      milliseconds: { forward: times, predict: times },
      peak_rss_bytes: expect.any(Number),
    });
  });
});

describe("JSON of doctor", () => {
  it("has ratios against 32-true in the same run, and the modes of evaluation with their dtypes", () => {
    const { result } = json(
      "doctor",
      ...weights,
      "--data",
      "birds",
      "--images",
      "2",
      "--batch",
      "2",
      "--threshold",
      "0.2",
    );
    const [exact, ...low] = result.precisions;
    expect(exact).toMatchObject({ precision: "32-true", speedup: 1, memory_ratio: 1 });
    const ways = result.memory.map(({ way }: { way: string }) => way);
    expect(ways).toEqual(["default", "lean", "leanest", "gradient_checkpointing"]);
    expect(result.memory_precision).toBe(result.default.precision);
    expect(result.trained).toBe(true);
    for (const each of low) {
      expect(each.speedup).toBeCloseTo(exact.step_seconds / each.step_seconds);
      expect(each.memory_ratio).toBeCloseTo(each.peak_tensor_bytes / exact.peak_tensor_bytes);
      for (const key of ["loss", "loss_error", "gradient_cosine", "nonfinite", "underflow_share"])
        expect(each).toHaveProperty(key);
      expect(each.modules[0]).toMatchObject({ path: expect.any(String), relative_error: expect.any(Number) });
      expect(each.modules[0]).toHaveProperty("amax");
    }
    const modes = result.evaluation.map(({ mode }: { mode: string }) => mode);
    expect(modes).toEqual(["fp32", "autocast", "fp16_eval", "whole_model_half", "whole_model_bfloat16"]);
    for (const each of result.evaluation) {
      for (const key of ["box_error_px", "score_error", "AP", "milliseconds", "dtype", "weight_bytes", "copy_bytes"])
        expect(each).toHaveProperty(key);
      for (const key of ["score_error_max", "speedup", "speedup_range"]) expect(each).toHaveProperty(key);
      const { only_reference, only_found, ...counts } = each.at_threshold;
      expect(counts).toMatchObject({ threshold: 0.2, reference: expect.any(Number), found: expect.any(Number) });
      const sum = (key: string) =>
        counts.images.reduce((all: number, image: Record<string, number>) => all + image[key], 0);
      expect([sum("only_reference"), sum("only_found")]).toEqual([only_reference, only_found]);
    }
    // That of the training of these weights, which val and predict take.
    expect(result.evaluation_precision).toBe("32-true");
  });

  it("has its promised keys with --casts too, which measures no precisions and so refuses what needs them", () => {
    const { result } = json("doctor", ...weights, "--casts");
    expect(result).toMatchObject({ recommended: { precision: expect.any(String) }, precisions: [], evaluation: [] });
    expect(result.casts.operators.length).toBeGreaterThan(0);
    for (const each of result.casts.operators)
      expect(each).toMatchObject({
        rule: expect.stringMatching(/^(lower|fp32|widest|keep)$/),
        reason: expect.any(String),
      });
    expect(json("doctor", "--model", "tiny", "--threshold", "0.2")).toMatchObject({
      status: 2,
      result: { error: { code: "ERR_USAGE", message: expect.stringContaining("random weights find nothing") } },
    });
    for (const flags of [["--write", "settings.json"], ["--formats"]])
      expect(json("doctor", ...weights, "--casts", ...flags)).toMatchObject({
        status: 2,
        result: { error: { code: "ERR_USAGE", message: `Expected --casts or ${flags[0]} but received both` } },
      });
  });
});
