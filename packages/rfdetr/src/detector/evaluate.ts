// The COCO figures of a detector.

import type { GivenData } from "../data/custom/data-path.js";
import type { Split } from "../data/index.js";
import type { CocoSummary } from "../eval/coco/coco-summary.js";
import type { ResizeOptions } from "../eval/pixels.js";
import { isExported } from "../onnx/exported-model.js";
import { abortSignal, checkOptions, count, flag, type OptionKinds, oneOf } from "../support/options.js";
import { anyData, withDataPath } from "./data-option.js";
import type { DetectorModel } from "./detector-model.js";
import { resizeOptions } from "./predict-options.js";

/** How a detector is evaluated. */
export interface DetectorEvaluateOptions extends ResizeOptions {
  /**
   * Folder of the dataset, or a YOLO data file; or data in the other forms that `train` takes, which are read once into
   * a folder for temporary files.
   */
  data: string | GivenData;
  /** Default `valid`. */
  split?: Split;
  /** Images in a batch; default 4. */
  batch?: number;
  /** Whether photos are turned as their cameras say; default true. */
  autoOrient?: boolean;
  /** Stops the evaluation, which is then rejected with the signal's reason. */
  signal?: AbortSignal;
}

const evaluateOptions: OptionKinds<DetectorEvaluateOptions> = {
  data: anyData,
  split: oneOf("train", "valid", "test"),
  batch: count,
  autoOrient: flag,
  signal: abortSignal,
  ...resizeOptions,
};

/**
 * COCO figures of the detector on a split of a dataset.
 * @param model the model of the detector
 * @throws the reason of the signal when it is aborted
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 */
export async function evaluateDetector(model: DetectorModel, options: DetectorEvaluateOptions): Promise<CocoSummary> {
  checkOptions("evaluate", options, evaluateOptions, ["data"]);
  const { signal } = options;
  signal?.throwIfAborted();
  const weights = await model.trained(signal);
  const { classNames, numberFormat, warn = process.emitWarning } = model.options;
  const asked = {
    split: options.split ?? "valid",
    batch: options.batch ?? 4,
    autoOrient: options.autoOrient ?? true,
    ...(signal === undefined ? {} : { signal }),
    ...(options.antialias === undefined ? {} : { antialias: options.antialias }),
  };
  return withDataPath(options.data, asked, async (data) => {
    if (isExported(weights)) {
      const { evaluateOnnx } = await import("../onnx/evaluate-onnx.js");
      const named = classNames === undefined ? {} : { classNames };
      return (await evaluateOnnx(weights, { ...asked, ...named, data, warn: (message) => warn(message) })).summary;
    }
    const { evaluateWeights } = await import("../eval/evaluate-weights.js");
    const { summary } = await evaluateWeights(weights, {
      ...asked,
      data,
      precision: model.options.precision ?? "auto",
      ...(numberFormat === undefined ? {} : { numberFormat }),
      device: model.options.device ?? "auto",
      reading: model.reading(),
    });
    return summary;
  });
}
