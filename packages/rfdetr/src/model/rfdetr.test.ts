import { noGrad, scope, type Tensor } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { fillImages, fillModel, uniforms } from "../instruments/peers/deterministic-fill.js";
import { postprocess } from "./images/postprocess.js";
import type { Outputs } from "./outputs.js";
import { RFDETRModel } from "./rfdetr.js";
import { resolveModel } from "./variants.js";

// The goldens are from the Python package rfdetr 1.4.1 on the CPU in float32 with the same deterministic weights;
// 1.11.2 gives the same. Two float32 programs that sum in different orders agree to 1e-5 here.
const near = (values: number[], golden: number[], tolerance: number): void => {
  expect(values.length).toBe(golden.length);
  values.forEach((value, i) =>
    expect(Math.abs(value - golden[i]), `${i}: ${value} against ${golden[i]}`).toBeLessThan(tolerance),
  );
};
const first = (t: Tensor, count: number): number[] =>
  Array.from(t.flatten().narrow(0, 0, count).toArray() as Float32Array | Float64Array);
const filled = (variant: string): RFDETRModel => {
  const model = new RFDETRModel(resolveModel(variant));
  fillModel(model);
  return model.eval();
};

describe("deterministic fill", () => {
  it("gives the weights that the goldens were made with", () => {
    near([...uniforms("class_embed.weight", 3)], [0.345759415, -0.060644898, -0.467374611], 1e-9);
  });
});

describe("RF-DETR Nano, 384 px", () => {
  const model = filled("nano");
  const images = fillImages(2, 384, 384);

  it("gives the feature maps and the projector output of the Python package", () =>
    noGrad(() =>
      scope(() => {
        const maps = model.backbone.at(0).encoder.call(images);
        const golden = [
          [0.921872, -0.356668, 0.981901, 1.711701],
          [1.332259, 0.501168, 1.866043, 2.067692],
          [2.352206, 2.097315, 3.361076, 3.196284],
          [2.216222, 1.310281, 2.458506, 2.742631],
        ];
        const deviation = [1.000665, 1.000262, 0.999531, 1.000859];
        const mean = [-0.0045577, -0.0049391, -0.0051986, -0.0043714];
        maps.forEach((map, i) => {
          expect(map.shape).toEqual([2, 384, 24, 24]);
          near(first(map.select(0, 0).select(0, 0).select(0, 0), 4), golden[i], 1e-5);
          near([map.std(undefined, 0).item(), map.mean().item()], [deviation[i], mean[i]], 1e-5);
        });
        const [projected] = model.backbone.at(0).projector.call(maps);
        near(
          first(projected.select(0, 0).select(0, 0).select(0, 0), 4),
          [0.687182, -0.173728, -0.553174, 0.140214],
          1e-5,
        );
        near([projected.std(undefined, 0).item(), projected.mean().item()], [1.0049039, 0.0027571], 1e-5);
      }),
    ));

  it("gives the logits, boxes, proposals and detections of the Python package", () =>
    noGrad(() =>
      scope(() => {
        const { predLogits, predBoxes, encOutputs } = model.call(images) as Outputs;
        near(
          [predLogits.mean().item(), predLogits.std(undefined, 0).item(), predLogits.abs().max().item()],
          [-4.5760938, 0.9854403, 8.8756256],
          1e-5,
        );
        near(first(predLogits, 4), [-5.4013, -3.25973, -4.19201, -4.39887], 2e-5);
        near(first(predLogits.select(1, 1), 4), [-6.75399, -2.47817, -4.69087, -3.60599], 2e-5);
        near(
          first(predBoxes, 12),
          [
            0.141145, 0.189041, 0.041971, 0.04781, 0.727821, 0.853921, 0.030515, 0.031599, 0.140795, 0.518189, 0.028804,
            0.030577,
          ],
          1e-5,
        );
        near(
          [encOutputs.predLogits.mean().item(), encOutputs.predLogits.std(undefined, 0).item()],
          [-4.6490005, 1.0174385],
          1e-5,
        );
        near(first(encOutputs.predBoxes, 4), [0.139699, 0.199231, 0.050129, 0.044239], 1e-5);
        const best = encOutputs.predLogits.amax(-1);
        near(
          first(best.select(0, 0), 10),
          [-0.34514, -0.38435, -0.44661, -0.49492, -0.53739, -0.59762, -0.78888, -0.8317, -0.84299, -0.85132],
          2e-5,
        );
        const [scored] = postprocess(
          { predLogits, predBoxes },
          [
            [480, 640],
            [480, 640],
          ],
          5,
        );
        near(first(scored.scores, 5), [0.299209, 0.296607, 0.273285, 0.270376, 0.256183], 1e-5);
        expect(scored.labels.toList()).toEqual([26, 26, 26, 26, 26]);
        near(first(scored.boxes, 4), [92.729, 193.936, 116.536, 215.762], 2e-3);
      }),
    ));

  it("accepts rectangles", () =>
    noGrad(() =>
      scope(() => {
        const { predLogits, predBoxes } = model.call(fillImages(1, 384, 448)) as Outputs;
        near(first(predLogits, 4), [-5.156111, -3.350812, -3.715698, -4.398782], 2e-5);
        near(first(predBoxes, 4), [0.619692, 0.188107, 0.045078, 0.051226], 1e-5);
      }),
    ));

  it("rejects a size that is not a multiple of the block, and gives the nearest valid sizes", () => {
    expect(() => model.call(fillImages(1, 384, 400))).toThrow(/side divisible by 32 .* received 400: use 384 or 416/);
  });
});

describe("RF-DETR Base, 560 px: interpolated positional embeddings, 4 × 4 windows", () => {
  it("gives the feature maps, logits and boxes of the Python package", () => {
    // In float32, two proposals of Base are so close that their order depends on the number of threads. In float64 it
    // does not.
    const model = filled("base").to("float64");
    noGrad(() =>
      scope(() => {
        const images = fillImages(2, 560, 560).to("float64");
        const maps = model.backbone.at(0).encoder.call(images);
        const golden = [
          [1.033667, 1.112373, 0.208623, 0.51029],
          [1.183606, 1.734701, 0.962855, 0.996743],
          [1.157015, 1.314002, 1.224781, 1.11322],
          [1.06192, 0.83716, 0.653576, 0.414363],
        ];
        maps.forEach((map, i) => near(first(map.select(0, 0).select(0, 0).select(0, 0), 4), golden[i], 1e-5));
        const [projected] = model.backbone.at(0).projector.call(maps);
        near(
          first(projected.select(0, 0).select(0, 0).select(0, 0), 4),
          [2.342931, 2.899906, 1.214119, 2.981854],
          1e-5,
        );
        const { predLogits, predBoxes } = model.call(images) as Outputs;
        near([predLogits.mean().item(), predLogits.std(undefined, 0).item()], [-4.6482413, 0.9702395], 1e-5);
        near(first(predBoxes, 4), [0.826632, 0.059803, 0.054731, 0.055657], 1e-5);
      }),
    );
  });
});

describe("every variant", () => {
  it.each([
    ["nano", 30_467_298, 465],
    ["small", 32_111_170, 487],
    ["medium", 33_687_458, 509],
    ["base", 32_174_530, 487],
    ["large", 33_933_218, 509],
    ["large-deprecated", 135_637_474, 533],
    ["xlarge", 128_332_204, 531],
    ["2xlarge", 128_878_252, 531],
    ["demo", 1_882_732, undefined],
    ["tiny", 897_612, undefined],
    ["seg-preview", 34_153_555, 544],
    ["seg-nano", 33_577_475, 544],
    ["seg-small", 33_711_107, 544],
    ["seg-medium", 35_694_259, 572],
    ["seg-large", 35_873_971, 572],
    ["seg-xlarge", 38_113_635, 600],
    ["seg-2xlarge", 38_648_163, 600],
  ])("%s has the right number of parameters", (variant, parameters, keys) => {
    scope(() => {
      const model = new RFDETRModel(resolveModel(variant));
      const state = model.stateDict();
      expect([...state.values()].reduce((sum, t) => sum + t.numel, 0)).toBe(parameters);
      if (keys !== undefined) expect(state.size).toBe(keys);
      for (const t of state.values()) t.dispose();
    });
  });
});

describe("a model with a segmentation head", () => {
  const config = resolveModel("seg-tiny");
  const model = new RFDETRModel(config);
  fillModel(model);
  const images = fillImages(2, 96, 112);
  const masksOf = ({ auxOutputs, encOutputs, ...last }: Outputs) =>
    [last, ...auxOutputs, encOutputs].map(({ predMasks }) => predMasks?.queryFeatures.shape);

  it("predicts masks of all layers in training, for all groups", () => {
    scope(() => {
      const outputs = model.train().call(images);
      const rows = [2, config.numQueries * config.groupDetr, config.hiddenDim];
      expect(masksOf(outputs)).toEqual([rows, rows, rows]);
      expect(outputs.predMasks?.spatialFeatures.shape).toEqual([2, config.hiddenDim, 24, 28]);
      expect(outputs.predMasks?.bias.shape).toEqual([1]);
    });
  });

  it("predicts the masks of the last layer in evaluation, and all where a loss needs them", () => {
    noGrad(() =>
      scope(() => {
        model.eval();
        const rows = [2, config.numQueries, config.hiddenDim];
        expect(masksOf(model.call(images))).toEqual([rows, undefined, undefined]);
        expect(masksOf(model.call(images, true))).toEqual([rows, rows, rows]);
      }),
    );
  });
});
