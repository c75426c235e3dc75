// What the doctor measures on: a model with a batch, its casts, and images to evaluate.

import { CastMap, type Overrides, type Precision } from "@rfdetr/amp";
import { manualSeed, noGrad, scope } from "@rfdetr/torch";
import type { EvaluationBatch } from "../../eval/batch.js";
import { classesOn, openScoredSplit, type ScoredSplit } from "../../eval/scored-split.js";
import { Criterion } from "../../loss/criterion.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import type { ModelConfig } from "../../model/types.js";
import { resolveModel } from "../../model/variants.js";
import { openTrainData } from "../../run/session/open-train-data.js";
import { resolveSettings } from "../../settings/resolve.js";
import { DataError } from "../../support/errors.js";
import type { Subject } from "../../train/measure/calibrate-step.js";
import { randomBatch } from "../../train/measure/random-batch.js";
import { type MicroBatch, prepareImages } from "../../train/step/step-parts.js";
import { trainedAutocast, unknownTraining } from "../../weights/trained-precision.js";
import { loadModel } from "../../weights/weights.js";

/** The model and data that a measurement takes. */
export interface SubjectOptions {
  /** Variant; ignored if there are weights. */
  model: string;
  batch: number;
  device: string;
  /** Weights file; without it the weights are random. */
  weights?: string;
  /** Dataset whose first training batch is used; without it the images are noise with eight boxes each. */
  data?: string;
  /** Precision of modules, beside what the training of the weights had. */
  overrides?: Overrides;
}

/**
 * A model and a training batch to measure on.
 * @throws DataError if the dataset cannot be read, or has a class that the weights do not know
 * @throws CheckpointError if the weights cannot be loaded
 */
export async function openSubject(options: SubjectOptions): Promise<Subject> {
  const { model: variant, batch, device, weights, data, overrides } = options;
  manualSeed(0);
  const loaded = weights === undefined ? null : loadModel(weights);
  const shape = loaded?.config ?? resolveModel(variant);
  const source = data === undefined ? null : await firstBatch(data, shape, batch);
  if (loaded !== null && source !== null && data !== undefined) {
    const classes = classesOn(data, source.classNames, loaded.classNames);
    if (classes !== null)
      for (const { labels } of source.batch.targets) labels.set(labels.map((label) => classes.indexOf(label)));
  }
  const classNames =
    loaded?.classNames ?? source?.classNames ?? Array.from({ length: shape.numClasses }, (_, i) => `class ${i}`);
  const model = loaded?.model ?? new RFDETRModel({ ...shape, numClasses: classNames.length });
  if (device !== "cpu") model.to(device);
  model.train();
  const rules = loaded?.trained ?? unknownTraining;
  return {
    model,
    classNames,
    batch: source?.batch ?? randomBatch(batch, shape.resolution, classNames.length, 8, shape.segmentationHead),
    criterion: new Criterion({ groupDetr: model.config.groupDetr }),
    rules: { ...rules, numberFormat: null, overrides: { ...rules.overrides, ...overrides } },
    device,
    trained: loaded !== null,
  };
}

/** The dtype of each operator in a training forward, and the casts between them. */
export function castsOf({ model, batch, rules, device }: Subject, precision: Precision): CastMap {
  const autocast = trainedAutocast(model, rules, precision);
  const map = new CastMap();
  noGrad(() =>
    scope(() => {
      const images = prepareImages(batch, null, device);
      map.watch(() => autocast.run(() => void model.call(images)));
    }),
  );
  autocast.clearCache();
  return map;
}

/** Images to evaluate, and how many of how many. */
interface EvaluationImages extends Pick<ScoredSplit, "classNames" | "classes"> {
  batches: EvaluationBatch[];
  images: number;
  of: number;
}

/**
 * The first `count` images of the valid split, resized for the subject, in batches.
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 */
export async function evaluationImages(
  { model, classNames }: Subject,
  data: string,
  { count, batch }: { count: number; batch: number },
): Promise<EvaluationImages> {
  const { resolution, segmentationHead: masks } = model.config;
  const opened = await openScoredSplit(classNames, resolution, { data, split: "valid", batch, masks });
  const batches: EvaluationBatch[] = [];
  let images = 0;
  for await (const next of opened.batches()) {
    batches.push(next);
    images += next.imageIds.length;
    if (images >= count) break;
  }
  const { classNames: wanted, classes } = opened;
  return { batches, images, of: opened.images, classNames: wanted, ...(classes && { classes }) };
}

async function firstBatch(
  data: string,
  { variant: model, resolution: size, segmentationHead: masks }: ModelConfig,
  batch: number,
): Promise<{ batch: MicroBatch; classNames: string[] }> {
  const settings = { ...resolveSettings({ datasetDir: data, model, gradAccumSteps: 1 }), batchSize: batch };
  const opened = await openTrainData(settings, { seed: 0, size, evaluationSize: size, masks });
  try {
    for await (const [first] of opened.steps(0, 0)) return { batch: first, classNames: [...opened.classNames] };
    throw new DataError(`Expected images in the train split of ${data} but found none`);
  } finally {
    await opened.close();
  }
}
