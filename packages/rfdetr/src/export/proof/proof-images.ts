// The images of a proof: those of a dataset, or drawn ones.

import type { Split } from "../../data/index.js";
import type { EvaluationBatch } from "../../eval/batch.js";
import { openScoredSplit, type ScoredSplit } from "../../eval/scored-split.js";
import { goldenPixels } from "../../onnx/goldens.js";

/** Images at the size of the model. */
export interface ProofImages {
  batches: () => AsyncIterable<EvaluationBatch>;
  /** How many there are. */
  count: number;
  /** The split that they are of; null for drawn images, which have no figures. */
  split: ScoredSplit | null;
}

/** Images of a dataset that a proof runs. */
const most = 100;
/** Seeds of drawn images. Those of the goldens in the file are others. */
const drawnSeeds = [11, 12];

/**
 * The first hundred images of a split, or two drawn ones. Where the model has masks, so has the ground truth.
 * @param classNames those of the weights
 * @throws DataError if the split cannot be read, or has a class that the weights do not know
 */
export async function proofImages(
  data: { data: string; split: Split; masks: boolean; onBadImage?: (message: string) => void } | null,
  classNames: readonly string[],
  size: readonly [height: number, width: number],
  batch: number,
): Promise<ProofImages> {
  if (data === null) return { batches: () => drawn(size), count: drawnSeeds.length, split: null };
  const split = await openScoredSplit(classNames, size, { ...data, batch });
  return { batches: () => firstOf(split.batches(), most), count: Math.min(most, split.images), split };
}

async function* firstOf(batches: AsyncIterable<EvaluationBatch>, count: number): AsyncGenerator<EvaluationBatch> {
  let seen = 0;
  for await (const batch of batches) {
    yield batch;
    seen += batch.imageIds.length;
    if (seen >= count) return;
  }
}

async function* drawn([height, width]: readonly [number, number]): AsyncGenerator<EvaluationBatch> {
  for (const seed of drawnSeeds)
    yield {
      images: goldenPixels(seed, height, width),
      height,
      width,
      imageIds: [seed],
      origSizes: [[height, width]],
      truths: [],
    };
}
