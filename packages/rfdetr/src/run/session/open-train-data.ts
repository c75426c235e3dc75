// Opens the data of a run: loaders for training, validation and test.
import { customFunctions } from "../../data/augment/config.js";
import { hashModules } from "../../data/augment/custom-augmentation.js";
import {
  augmentPresets,
  DataLoader,
  type Dataset,
  epochOrder,
  findQualityProblems,
  groupFindings,
  openDatasets,
  type QualityLimits,
} from "../../data/index.js";
import { shardPositions, wholeShard } from "../../data/loader/shards.js";
import { evaluationBatches, evaluationLoader } from "../../eval/evaluation-data.js";
import type { ReadySettings, TrainSettings } from "../../settings/settings.js";
import { DataError } from "../../support/errors.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import { splitContents } from "./data-contents.js";
import { planEpochs } from "./plan-epochs.js";
import { type DataSizes, effectiveBatch, microBatchesOf, type TrainData } from "./training-data.js";

/**
 * Opens the splits that a run needs. @throws DataError naming the first fault that training refuses
 */
export async function openTrainData(
  settings: ReadySettings,
  { seed, size, evaluationSize, masks = false, detections, shard = wholeShard }: DataSizes,
): Promise<TrainData> {
  const { datasetDir, batchSize, numWorkers } = settings;
  const splits = settings.runTest ? (["train", "valid", "test"] as const) : (["train", "valid"] as const);
  const [train, valid, test = null] = openDatasets(datasetDir, splits, { autoOrient: settings.autoOrient, masks });
  checkClasses(train.classNames, settings);
  const effective = effectiveBatch(settings);
  const microBatches = microBatchesOf(settings) / shard.size;
  const { sampling, ...plan } = planEpochs(train, settings);
  const augment = settings.augConfig ?? augmentPresets[settings.augment];
  const modules = hashModules(customFunctions(augment));
  const leftOut = new Set<string>();
  const onWarning = (message: string): void => void leftOut.add(message);
  const { scaleJitter } = settings;
  const loader = new DataLoader({
    recipe: { size, training: true, scaleJitter, augment, classes: train.classNames.length },
    workers: numWorkers,
    prefetch: Math.max(2, microBatches),
    onBadImage: "replace",
    onWarning,
  });
  let evaluation: DataLoader | null = null;
  return {
    classNames: train.classNames,
    trainImages: train.images.length,
    validImages: valid.images.length,
    contents: { train: splitContents(train), valid: splitContents(valid) },
    ...(Object.keys(modules).length === 0 ? {} : { modules }),
    testImages: test?.images.length ?? 0,
    ...plan,
    warnings: warningsOf(train, valid, {
      ...(detections === undefined ? {} : { detections }),
      maxDets: settings.evalMaxDets,
    }),
    async *steps(epoch, from) {
      const order = epochOrder(train.images.length, { effectiveBatch: effective, seed, epoch, sampling });
      const positions = shardPositions(order.length, batchSize, shard).subarray(from * microBatches * batchSize);
      const mine = positions.map((position) => order[position]);
      const seedOf = (i: number) => ["image", seed, epoch, positions[i]];
      yield* inSteps(loader.batches(train.images, { order: mine, batchSize, seedOf }), microBatches);
    },
    async *evaluation(split, batch) {
      const dataset = split === "valid" ? valid : (test as Dataset);
      evaluation ??= evaluationLoader(evaluationSize, numWorkers, onWarning);
      yield* evaluationBatches(evaluation, dataset.images, batch, shard);
    },
    images: (split) => (split === "train" ? train : valid).images,
    leftOut: () => [...leftOut],
    async close() {
      await Promise.all([loader.close(), evaluation?.close()]);
    },
  };
}

/** Joins the batches of an epoch to steps; what is left over makes none. */
async function* inSteps(batches: AsyncIterable<MicroBatch>, microBatches: number): AsyncGenerator<MicroBatch[]> {
  let step: MicroBatch[] = [];
  for await (const batch of batches) {
    step.push(batch);
    if (step.length < microBatches) continue;
    yield step;
    step = [];
  }
}

/** What the user should know of the data. */
function warningsOf(train: Dataset, valid: Dataset, limits: QualityLimits): string[] {
  return [
    ...train.warnings.map((text) => `train: ${text}`),
    ...valid.warnings.map((text) => `valid: ${text}`),
    ...withoutObjects(valid),
    ...qualityWarnings(train, valid, limits),
  ];
}

/** What the run does without a figure to go by. */
function withoutObjects({ images }: Dataset): string[] {
  return images.some(({ labels }) => labels.length > 0)
    ? []
    : [
        "valid: the split has no objects, so AP is not defined: no epoch is the best, and early stopping never acts. weights/last.safetensors holds the weights of the last epoch",
      ];
}

/** What spoils the figures of a run, one line for each kind. */
function qualityWarnings(train: Dataset, valid: Dataset, limits: QualityLimits): string[] {
  const judged = [
    { split: "train", source: "", dataset: train },
    { split: "valid", source: "", dataset: valid },
  ] as const;
  const told = new Set<string>(["too many objects", "classes only in valid", "classes without boxes"]);
  const findings = findQualityProblems(judged, limits).filter(({ check }) => told.has(check));
  return groupFindings(findings).map((group) => {
    const more = group.length > 1 ? ` (and ${group.length - 1} more images)` : "";
    return `${group[0].split}: ${group[0].message}${more}`;
  });
}

/** @throws DataError unless the classes of the data are those that the settings ask for */
function checkClasses(found: readonly string[], { datasetDir, numClasses, classNames }: TrainSettings): void {
  if (numClasses !== null && numClasses !== found.length)
    throw new DataError(
      `Expected ${numClasses} classes in ${datasetDir} but found ${found.length}: ${found.join(", ")}`,
      {
        hint: "Leave out `num_classes` to accept them",
      },
    );
  if (classNames !== null && (classNames.length !== found.length || classNames.some((name, i) => name !== found[i])))
    throw new DataError(
      `Expected the classes ${classNames.join(", ")} in ${datasetDir} but found ${found.join(", ")}`,
      {
        hint: "Leave out `class_names` to accept them",
      },
    );
}
