// Measures inference on random images: the forward pass of a batch, and everything from pixels to detections of one
// image.

import type { Precision } from "@rfdetr/amp";
import { manualSeed, noGrad, rand, randn, scope } from "@rfdetr/torch";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { Predictor } from "../../predict/predict.js";
import { peakRss } from "../../support/machine/machine.js";
import { sidesOf } from "../../support/shape.js";
import { joinSpreads, measure, median, type Spread, spread } from "../../support/statistics.js";

/** Measurements of a prediction. */
export interface InferBench {
  model: string;
  precision: Precision;
  /** Images of the forward pass; predict takes one at a time. */
  batch: number;
  milliseconds: { forward: Spread; predict: Spread };
  /** Of the forward pass. */
  images_per_second: number;
  /** Of the process since it started: what was measured in it before counts as well. */
  peak_rss_bytes: number;
}

/** What is measured. */
export interface InferBenchOptions {
  model: string;
  precision: Precision;
  device: string;
  batch: number;
  iterations: number;
  warmup: number;
}

/** Measures a model of random weights. */
export function benchInfer(options: InferBenchOptions): InferBench {
  const { precision, device, iterations, warmup, batch } = options;
  manualSeed(0);
  const config = resolveModel(options.model);
  const model = new RFDETRModel(config);
  if (device !== "cpu") model.to(device);
  const predictor = new Predictor(model, { classNames: [], precision, device });
  return scope(() => {
    const images = randn([batch, 3, ...sidesOf(config.resolution)], { device });
    const [height, width] = [480, 640];
    const pixels = Uint8Array.from(
      rand([height * width * 3])
        .mul(256)
        .floor()
        .toArray() as Float32Array,
    );
    const milliseconds = (body: () => void): Spread => {
      const { median, min } = spread(measure(body, iterations, warmup));
      return { median: median * 1000, min: min * 1000 };
    };
    const forward = milliseconds(() =>
      noGrad(() => scope(() => void predictor.forward(images).predLogits.amax().item())),
    );
    const predict = milliseconds(() => void predictor.detectPixels({ data: pixels, width, height }));
    const images_per_second = (1000 * batch) / forward.median;
    return {
      model: options.model,
      precision,
      batch,
      milliseconds: { forward, predict },
      images_per_second,
      peak_rss_bytes: peakRss(),
    };
  });
}

/** The figures of several processes as one: medians of their medians, and the shortest times of all. */
export function joinInferRounds(rounds: readonly InferBench[]): InferBench {
  const [first] = rounds;
  const of = (what: keyof InferBench["milliseconds"]) => joinSpreads(rounds.map((each) => each.milliseconds[what]));
  const milliseconds = { forward: of("forward"), predict: of("predict") };
  return {
    ...first,
    milliseconds,
    images_per_second: (1000 * first.batch) / milliseconds.forward.median,
    peak_rss_bytes: median(rounds.map((each) => each.peak_rss_bytes)),
  };
}
