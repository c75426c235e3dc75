import { createHash } from "node:crypto";
import { manualSeed, noGrad, scope } from "@rfdetr/torch";
import { beforeAll, describe, expect, it, vi } from "vitest";
import type { EvaluationBatch } from "../../eval/batch.js";
import { outputsOf } from "../../eval/evaluate.js";
import { postprocess, toArrays } from "../../model/images/postprocess.js";
import { inFloat32 } from "../../model/outputs.js";
import { modelAutocast } from "../../model/precision/precision.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import {
  compareEvaluationModes,
  type EvaluatedMode,
  type EvaluationMode,
  type EvaluationModesOptions,
} from "./compare-evaluations.js";

const side = 128;
const classNames = ["a", "b"];

function batchOf(count: number): EvaluationBatch {
  const { images, targets } = randomBatch(count, side, classNames.length, 3);
  return {
    images,
    height: side,
    width: side,
    imageIds: targets.map((_, i) => i),
    origSizes: targets.map(() => [2 * side, 2 * side] as const),
    truths: targets.map(({ boxes, labels }) => ({
      boxes: boxes.map((value) => value * 2 * side),
      labels,
      area: new Float64Array(labels.length).fill(1000),
      crowd: new Uint8Array(labels.length),
    })),
  };
}

/** A batch whose objects are the best masks that the model finds, with boxes that are elsewhere. */
function ofOwnMasks(model: RFDETRModel): EvaluationBatch {
  const batch = batchOf(2);
  const autocast = modelAutocast(model.eval(), { precision: "32-true" });
  const found = noGrad(() =>
    scope(() => {
      const outputs = inFloat32(outputsOf(batch, { model, autocast, device: "cpu" }));
      return postprocess(outputs, batch.origSizes, model.config.numSelect).map(toArrays);
    }),
  );
  const truths = found.map(({ labels, masks = [] }) => {
    const best = labels.findIndex((label) => label < classNames.length);
    const object = { labels: labels.slice(best, best + 1), masks: masks.slice(best, best + 1) };
    return { boxes: Float32Array.of(0, 0, 2, 2), area: Float64Array.of(1000), crowd: Uint8Array.of(0), ...object };
  });
  return { ...batch, truths };
}

function compare(model: RFDETRModel, batch = batchOf(2)): Map<EvaluationMode, EvaluatedMode> {
  const rows = compareEvaluationModes({
    model,
    classNames,
    precision: "bf16-mixed",
    device: "cpu",
    batches: [batch],
  });
  return new Map(rows.map((row) => [row.mode, row]));
}

describe("ways to evaluate in low precision", () => {
  let model: RFDETRModel;
  let asked: Omit<EvaluationModesOptions, "batches">;
  beforeAll(() => {
    manualSeed(0);
    model = new RFDETRModel({ ...resolveModel("demo"), numClasses: classNames.length, numSelect: 50 });
    asked = { model, classNames, precision: "bf16-mixed", device: "cpu" };
  });

  it("measures errors in order of what is rounded: nothing, products in float16, everything in float16", () => {
    const rows = compare(model);
    const of = (mode: EvaluationMode) => rows.get(mode) as EvaluatedMode;
    expect(of("fp32")).toMatchObject({ box_error_px: 0, score_error: 0, lost_share: 0, norm_error: { largest: 0 } });
    expect(of("fp16_eval").norm_error.median).toBeGreaterThan(0);
    // Eight bits of a bfloat16 product against eleven of float16: the norms' error is about eight times larger.
    expect(of("autocast").norm_error.median).toBeGreaterThan(3 * of("fp16_eval").norm_error.median);
    expect(of("whole_model_half").norm_error.median).toBeGreaterThan(1.2 * of("fp16_eval").norm_error.median);
    // The same of bfloat16: its autocast, and the whole model.
    expect(of("whole_model_bfloat16").norm_error.median).toBeGreaterThan(1.2 * of("autocast").norm_error.median);
    expect([...rows.values()].map(({ dtype }) => dtype)).toEqual([
      ...["float32", "bfloat16", "float16"],
      ...["float16", "bfloat16"],
    ]);
  });

  it("takes turns in rounds, three with few batches, each begun with a forward that is not timed: it makes the copies", () => {
    const order: EvaluationMode[] = [];
    const call = vi.spyOn(model, "call");
    const rows = compareEvaluationModes({ ...asked, batches: [batchOf(2)], progress: (mode) => order.push(mode) });
    const modes = rows.map(({ mode }) => mode);
    expect(order).toEqual([...modes, ...modes, ...modes]);
    // Two in each round; each mode but the reference also beside it for the errors of modules.
    expect(call).toHaveBeenCalledTimes(5 * 3 * 2 + 4 * 2);
    call.mockRestore();
  });

  it("scores every image once, in five rounds at most, and has speeds of single rounds around that of the medians", () => {
    const order: [mode: EvaluationMode, images: number][] = [];
    const batches = Array.from({ length: 7 }, (_, i) => ({ ...batchOf(1), imageIds: [i] }));
    const rows = compareEvaluationModes({ ...asked, batches, progress: (...done) => order.push(done) });
    const begun = order.filter(([mode], i) => mode !== order[i - 1]?.[0]).map(([mode]) => mode);
    expect(begun).toEqual(Array.from({ length: 5 }, () => rows.map(({ mode }) => mode)).flat());
    expect(order.filter(([mode]) => mode === "autocast").map(([, images]) => images)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(rows[0]).toMatchObject({ speedup: 1, speedup_range: [1, 1] });
    for (const { speedup, speedup_range: range } of rows) {
      expect(range[0]).toBeLessThanOrEqual(speedup);
      expect(range[1]).toBeGreaterThanOrEqual(speedup);
    }
  });

  it("has what changes above a threshold by the names of the images", () => {
    const batch = { ...batchOf(2), files: ["first.jpg", "second.jpg"] };
    const threshold = 0.01;
    const [exact, ...others] = compareEvaluationModes({ ...asked, batches: [batch], threshold });
    expect(exact.at_threshold).toMatchObject({ threshold, only_reference: 0, only_found: 0, highest_score: null });
    expect(exact.at_threshold.reference).toBe(exact.at_threshold.found);
    for (const { at_threshold: at } of others) {
      expect(at.reference).toBe(exact.at_threshold.reference);
      for (const { image } of at.images) expect(batch.files).toContain(image);
    }
    const [usual] = compareEvaluationModes({ ...asked, batches: [batch] });
    expect(usual.at_threshold.threshold).toBe(0.5);
  });

  it("counts the weights by themselves, and their copies: cast to low precision, or packed for products", () => {
    const rows = compare(model);
    const of = (mode: EvaluationMode) => rows.get(mode) as EvaluatedMode;
    const weights = [...model.stateDict().values()].reduce((sum, tensor) => sum + 4 * tensor.numel, 0);
    for (const mode of ["fp32", "autocast", "fp16_eval"] as const) expect(of(mode).weight_bytes).toBe(weights);
    for (const mode of ["whole_model_half", "whole_model_bfloat16"] as const)
      expect(of(mode)).toMatchObject({ weight_bytes: weights / 2, precision: of(mode).dtype });
    expect(of("fp16_eval").copy_bytes).toBeGreaterThan(0.3 * weights);
    expect(of("autocast").copy_bytes).toBeGreaterThan(0.3 * weights);
    expect(of("whole_model_half").copy_bytes).toBeLessThan(0.1 * weights);
  });

  it("measures masks where the model has some: their overlap with those of float32, and their AP", () => {
    manualSeed(0);
    const segmenting = new RFDETRModel({ ...resolveModel("seg-tiny"), numClasses: classNames.length, numSelect: 20 });
    const rows = compare(segmenting, ofOwnMasks(segmenting));
    const of = (mode: EvaluationMode) => rows.get(mode) as EvaluatedMode;
    expect(of("fp32").mask_iou).toEqual({ mean: 1, least: 1 });
    for (const mode of ["autocast", "fp16_eval", "whole_model_half", "whole_model_bfloat16"] as const) {
      expect(of(mode).mask_iou?.mean).toBeLessThan(1);
      expect(of(mode).mask_iou?.mean).toBeGreaterThan(0.5);
      expect(of(mode).mask_AP).toBeGreaterThan(0);
      expect(of(mode).modules.some(({ path }) => path.startsWith("segmentation_head"))).toBe(true);
    }
    expect(of("fp32").mask_AP).toBeGreaterThan(0.1);
    expect(of("fp32").AP).toBe(0);
    expect(compare(model).get("fp32")).not.toHaveProperty("mask_AP");
  });

  it("leaves the weights as they were, to the bit, and the model in the mode it had", () => {
    const fingerprint = () => {
      const hash = createHash("sha256");
      for (const [key, tensor] of model.stateDict())
        hash.update(`${key} ${tensor.dtype}`).update(tensor.toArray() as Float32Array);
      return hash.digest("hex");
    };
    const before = fingerprint();
    model.train();
    compare(model);
    expect(model.training).toBe(true);
    expect(fingerprint()).toBe(before);
  });

  it("shows what conversion does to a residual stream that leaves float16's range: not finite, where autocast keeps it in float32", () => {
    manualSeed(0);
    const loud = new RFDETRModel({ ...resolveModel("demo"), numClasses: classNames.length, numSelect: 50 });
    // Products stay in range; their sum with the stream, scaled by a learned factor, does not: 1e6 is past 65504.
    noGrad(() =>
      scope(() => {
        for (const [name, parameter] of loud.namedParameters())
          if (name.endsWith("layer_scale2.lambda1")) parameter.fill_(1e6);
      }),
    );
    const rows = compare(loud);
    expect(rows.get("whole_model_half")?.nonfinite_images).toBe(2);
    expect(rows.get("fp16_eval")?.nonfinite_images).toBe(0);
    expect(rows.get("autocast")?.nonfinite_images).toBe(0);
    expect(rows.get("whole_model_bfloat16")?.nonfinite_images).toBe(0);
  });
});
