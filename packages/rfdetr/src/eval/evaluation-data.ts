// A split of a dataset as batches for evaluation.
import { usableCores } from "@rfdetr/torch/cores";
import { decodeFile } from "../data/images/decode.js";
import { augmentPresets, DataLoader, type DatasetImage, openDataset, type Split } from "../data/index.js";
import { type Shard, shardPositions, wholeShard } from "../data/loader/shards.js";
import { regionMasks } from "../data/region-masks.js";
import { DataError } from "../support/errors.js";
import { type Shape, sidesOf } from "../support/shape.js";
import type { EvaluationBatch } from "./batch.js";
import type { GroundTruth } from "./coco/evaluated-image.js";
import { joinPixels, type ResizeOptions, resizePixels } from "./pixels.js";

/** How the data of an evaluation is read. */
export interface EvaluationDataOptions extends ResizeOptions {
  /** Whether pictures are turned as their EXIF tag says (default true). */
  autoOrient?: boolean;
  /** Whether the ground truth has masks (default false). */
  masks?: boolean;
  /** Receives a sentence for each image that does not decode and is left out; without it, such an image is an error. */
  onBadImage?: (message: string) => void;
}

/**
 * Opens one split for evaluation outside of a run.
 * @param size height and width of the images in pixels, or the side of square ones
 * @throws DataError if the split cannot be used
 */
export async function openEvaluationData(
  root: string,
  split: Split,
  size: Shape,
  batch: number,
  { antialias = true, autoOrient = true, masks = false, onBadImage }: EvaluationDataOptions = {},
): Promise<{ classNames: string[]; images: number; batches: () => AsyncGenerator<EvaluationBatch> }> {
  const dataset = openDataset(root, split, { autoOrient, masks });
  return {
    classNames: dataset.classNames,
    images: dataset.images.length,
    async *batches() {
      if (!antialias) {
        yield* resizedBatches(dataset.images, sidesOf(size), batch, { antialias, onBadImage });
        return;
      }
      const loader = evaluationLoader(size, Math.min(4, usableCores().threads), onBadImage);
      try {
        yield* evaluationBatches(loader, dataset.images, batch);
      } finally {
        await loader.close();
      }
    },
  };
}

/**
 * A loader for evaluation: images are resized, without augmentation.
 * @param onBadImage receives a sentence for each image that does not decode and is left out; without it, such an image
 * is an error
 */
export function evaluationLoader(size: Shape, workers: number, onBadImage?: (message: string) => void): DataLoader {
  return new DataLoader({
    recipe: { size, training: false, scaleJitter: false, augment: augmentPresets.none },
    workers,
    ...(onBadImage === undefined ? {} : { onBadImage: "skip", onWarning: onBadImage }),
  });
}

/** Batches of the images in their order; those of the shard. */
export async function* evaluationBatches(
  loader: DataLoader,
  images: readonly DatasetImage[],
  batch: number,
  shard: Shard = wholeShard,
): AsyncGenerator<EvaluationBatch> {
  const order = shardPositions(images.length, batch, shard);
  for await (const batchOfShard of loader.batches(images, { order, batchSize: batch, seedOf: () => [] })) {
    const { images: pixels, height, width, entries, origSizes } = batchOfShard;
    yield {
      number: shard.rank + batchOfShard.number * shard.size,
      images: pixels,
      height,
      width,
      imageIds: entries.map(({ id }) => id),
      files: entries.map(({ file }) => file),
      datasets: entries.map(({ dataset }) => dataset),
      origSizes,
      truths: entries.map(truthOf),
    };
  }
}

/** Batches of the images in their order, resized in this thread: those that the loader has no recipe for. */
async function* resizedBatches(
  images: readonly DatasetImage[],
  size: readonly [height: number, width: number],
  batch: number,
  { antialias, onBadImage }: { antialias: boolean; onBadImage: EvaluationDataOptions["onBadImage"] },
): AsyncGenerator<EvaluationBatch> {
  for (let at = 0; at < images.length; at += batch) {
    const tried = await Promise.all(
      images.slice(at, at + batch).map(async (entry) => {
        try {
          return { entry, pixels: await decodeFile(entry.file, { orientation: entry.orientation }) };
        } catch (error) {
          if (onBadImage === undefined || !(error instanceof DataError)) throw error;
          onBadImage(error.message);
          return null;
        }
      }),
    );
    const good = tried.filter((each) => each !== null);
    if (good.length === 0) continue;
    const entries = good.map(({ entry }) => entry);
    yield {
      images: joinPixels(good.map(({ pixels }) => resizePixels(pixels, size, { antialias }))),
      height: size[0],
      width: size[1],
      imageIds: entries.map(({ id }) => id),
      files: entries.map(({ file }) => file),
      datasets: entries.map(({ dataset }) => dataset),
      origSizes: entries.map(({ height, width }) => [height, width]),
      truths: entries.map(truthOf),
    };
  }
}

/** The ground truth of an image: objects, then crowd regions. */
function truthOf({ boxes, labels, areas, crowd, outlines, width, height }: DatasetImage): GroundTruth {
  const masks = regionMasks({ boxes, outlines }, height, width);
  return {
    boxes: Float32Array.from([...boxes, ...crowd.boxes]),
    labels: Int32Array.from([...labels, ...crowd.labels]),
    area: Float64Array.from([...areas, ...crowd.areas]),
    crowd: Uint8Array.from({ length: labels.length + crowd.labels.length }, (_, i) => (i < labels.length ? 0 : 1)),
    ...(masks === null ? {} : { masks: [...masks, ...(regionMasks(crowd, height, width) ?? [])] }),
  };
}
