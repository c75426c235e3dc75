// COCO figures of an exported file on a dataset, without libtorch.
import { relabel } from "../eval/class-map.js";
import { CocoEvaluator } from "../eval/coco/coco.js";
import type { CocoSummary } from "../eval/coco/coco-summary.js";
import { checkScored, openScoredSplit, type ScoredSplitOptions, scoreImage } from "../eval/scored-split.js";
import type { ScoredBoxes } from "../model/images/postprocess.js";
import { checkInputMemory } from "../support/machine/forward-memory.js";
import { OnnxModel } from "./onnx-model.js";

/** What an exported file is evaluated on, and how. */
export interface EvaluateOnnxOptions extends ScoredSplitOptions {
  /** Names of the classes by index, where the file has none. */
  classNames?: readonly string[];
  /** Called with a sentence where nobody names the classes. */
  warn?: (message: string) => void;
}

/**
 * Scores an exported file on a split, as `evaluateWeights` scores weights.
 * @throws CheckpointError if the file cannot be loaded
 * @throws DataError if the split cannot be read, or has a class that the file does not know
 * @throws ConfigError if there is no memory for a batch
 * @throws NumericsError if the model gives detections that are not finite
 * @throws the reason of the signal when it is aborted
 * @example
 * import { evaluateOnnx } from "rfdetr/onnx";
 * const { summary } = await evaluateOnnx("best.onnx", { data: "birds/", split: "valid", batch: 4 });
 */
export async function evaluateOnnx(
  file: string,
  options: EvaluateOnnxOptions,
): Promise<{ summary: CocoSummary; evaluator: CocoEvaluator; precision: string }> {
  const model = await OnnxModel.open(file, options.classNames === undefined ? {} : { classNames: options.classNames });
  try {
    const { classNames, precision, preprocessing, resolution, masks } = model.description;
    const { antialias = preprocessing.antialias } = options;
    const split = await openScoredSplit(classNames, resolution, { ...options, antialias, masks: masks !== null });
    if (classNames === null)
      options.warn?.(`${file} does not name its classes: they are taken as those of ${options.data}, in their order`);
    const maxDets = [...new Set([1, 10, options.maxDets ?? 100])];
    const evaluator = new CocoEvaluator({ classNames: split.classNames, maxDets });
    const { classes } = split;
    const change = (found: ScoredBoxes): ScoredBoxes => (classes === undefined ? found : relabel(found, classes));
    checkInputMemory(Math.min(options.batch, split.images), resolution);
    for await (const batch of split.batches()) {
      options.signal?.throwIfAborted();
      const { images, origSizes } = batch;
      const length = images.length / origSizes.length;
      const pixels = origSizes.map((_, i) => images.subarray(i * length, (i + 1) * length));
      const found = await model.detect(
        pixels,
        origSizes.map(([height, width]) => ({ width, height })),
      );
      for (const [i, detections] of found.entries()) scoreImage(evaluator, batch, i, detections, change);
      options.progress?.(evaluator.images, split.images);
    }
    options.signal?.throwIfAborted();
    checkScored(evaluator, file, precision, options);
    return { summary: evaluator.summarize(), evaluator, precision };
  } finally {
    await model.release();
  }
}
