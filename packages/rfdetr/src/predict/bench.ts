// Inference measured on one random image: the forward pass alone, and everything from decoded pixels to detections.
import type { Precision } from "@rfdetr/amp";
import { manualSeed, noGrad, rand, randn, scope } from "@rfdetr/torch";
import { RFDETRModel } from "../model/rfdetr.js";
import { resolveConfig } from "../model/variants.js";
import { peakRss } from "../run/machine.js";
import { measure, type Spread, spread } from "../run/statistics.js";
import { Predictor } from "./predict.js";

export interface InferBench {
  model: string;
  precision: Precision;
  milliseconds: { forward: Spread; predict: Spread };
  peak_rss_bytes: number;
}

export function benchInfer(options: {
  model: string;
  precision: Precision;
  device: string;
  iterations: number;
  warmup: number;
}): InferBench {
  const { precision, device, iterations, warmup } = options;
  manualSeed(0);
  const config = resolveConfig(options.model);
  const model = new RFDETRModel(config);
  if (device !== "cpu") model.to(device);
  const predictor = new Predictor(model, config, [], precision, device);
  return scope(() => {
    const images = randn([1, 3, config.resolution, config.resolution], { device });
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
    const forward = milliseconds(() => noGrad(() => scope(() => void predictor.forward(images).predLogits.amax().item())));
    const predict = milliseconds(() => void predictor.detectPixels(pixels, width, height, 0.5));
    return { model: options.model, precision, milliseconds: { forward, predict }, peak_rss_bytes: peakRss() };
  });
}
