// Datasets as the training loop and the evaluation take them.
import { availableParallelism } from "node:os";
import {
  augmentPresets,
  DataLoader,
  type Dataset,
  type DatasetImage,
  epochOrder,
  hasSplit,
  openDataset,
  type Split,
} from "../data/index.js";
import type { GroundTruth } from "../eval/coco.js";
import { RfdetrError } from "../run/errors.js";
import type { EvaluationBatch } from "./evaluate.js";
import type { ReadySettings, TrainSettings } from "./settings.js";
import type { MicroBatch } from "./step.js";
import { type DataSizes, stepsOfEpoch, type TrainData } from "./training-data.js";

/** Opens the train and valid splits of a dataset folder. @throws DatasetError, or RfdetrError `ERR_DATA` when a split is empty. */
export async function openTrainData(settings: ReadySettings, { seed, side, evaluationSide }: DataSizes): Promise<TrainData> {
  const { datasetDir, batchSize, gradAccumSteps, numWorkers } = settings;
  const train = open(datasetDir, "train");
  const valid = open(datasetDir, "valid");
  checkClasses(train.classNames, settings);
  const effective = batchSize * gradAccumSteps;
  const stepsPerEpoch = stepsOfEpoch(train.images.length, effective);
  const loader = new DataLoader({
    recipe: { side, training: true, scaleJitter: settings.scaleJitter, augment: settings.augConfig ?? augmentPresets[settings.augment] },
    workers: numWorkers,
    prefetch: Math.max(2, gradAccumSteps),
  });
  let evaluation: DataLoader | null = null;
  const test = settings.runTest && hasSplit(datasetDir, "test") ? open(datasetDir, "test") : null;

  return {
    classNames: train.classNames,
    trainImages: train.images.length,
    validImages: valid.images.length,
    testImages: test?.images.length ?? 0,
    stepsPerEpoch,
    warnings: [...train.warnings.map((text) => `train: ${text}`), ...valid.warnings.map((text) => `valid: ${text}`)],
    async *steps(epoch, from) {
      const order = epochOrder(train.images.length, effective, seed, epoch);
      const done = from * effective;
      let step: MicroBatch[] = [];
      for await (const batch of loader.batches(train.images, order.subarray(done), batchSize, (place) => [
        "image",
        seed,
        epoch,
        done + place,
      ])) {
        step.push(batch);
        if (step.length < gradAccumSteps) continue;
        yield step;
        step = [];
      }
    },
    async *evaluation(split, batch) {
      const dataset = split === "valid" ? valid : (test ?? open(datasetDir, "test"));
      evaluation ??= evaluationLoader(evaluationSide, numWorkers);
      yield* evaluationBatches(evaluation, dataset.images, batch);
    },
    async close() {
      await Promise.all([loader.close(), evaluation?.close()]);
    },
  };
}

/** Opens one split for evaluation alone. */
export async function openEvaluationData(
  root: string,
  split: Split,
  side: number,
  batch: number,
): Promise<{ classNames: string[]; images: number; batches: () => AsyncGenerator<EvaluationBatch> }> {
  const dataset = open(root, split);
  return {
    classNames: dataset.classNames,
    images: dataset.images.length,
    async *batches() {
      const loader = evaluationLoader(side, Math.min(4, availableParallelism()));
      try {
        yield* evaluationBatches(loader, dataset.images, batch);
      } finally {
        await loader.close();
      }
    },
  };
}

/** The classes of the data are those that were asked for, if any were. */
function checkClasses(found: readonly string[], { datasetDir, numClasses, classNames }: TrainSettings): void {
  if (numClasses !== null && numClasses !== found.length)
    throw new RfdetrError(
      "ERR_DATA",
      `Expected ${numClasses} classes (num_classes) in ${datasetDir} but found ${found.length}: ${found.join(", ")}. Leave num_classes out to take them`,
    );
  if (classNames !== null && (classNames.length !== found.length || classNames.some((name, i) => name !== found[i])))
    throw new RfdetrError(
      "ERR_DATA",
      `Expected the classes ${classNames.join(", ")} (class_names) in ${datasetDir} but found ${found.join(", ")}. Leave class_names out to take them`,
    );
}

function open(root: string, split: Split): Dataset {
  const dataset = openDataset(root, split);
  if (dataset.images.length === 0) throw new RfdetrError("ERR_DATA", `Expected images in the ${split} split of ${root} but found none`);
  return dataset;
}

function evaluationLoader(side: number, workers: number): DataLoader {
  return new DataLoader({ recipe: { side, training: false, scaleJitter: false, augment: augmentPresets.none }, workers });
}

async function* evaluationBatches(loader: DataLoader, images: readonly DatasetImage[], batch: number): AsyncGenerator<EvaluationBatch> {
  const order = Int32Array.from(images, (_, i) => i);
  for await (const { images: pixels, height, width, entries, origSizes } of loader.batches(images, order, batch, () => []))
    yield { images: pixels, height, width, imageIds: entries.map(({ id }) => id), origSizes, truths: entries.map(truthOf) };
}

/** Boxes and crowd regions of an image in one list. */
function truthOf({ boxes, labels, areas, crowd }: DatasetImage): GroundTruth {
  return {
    boxes: Float32Array.of(...boxes, ...crowd.boxes),
    labels: Int32Array.of(...labels, ...crowd.labels),
    area: Float64Array.of(...areas, ...crowd.areas),
    crowd: Uint8Array.from({ length: labels.length + crowd.labels.length }, (_, i) => (i < labels.length ? 0 : 1)),
  };
}
