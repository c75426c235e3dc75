// A dataset in memory: coloured squares on grey, two classes. For tests of the loop, which must not wait for files.

import { epochPlaces } from "../src/data/loader/sampler.js";
import type { EvaluationBatch } from "../src/eval/batch.js";
import { effectiveBatch, microBatchesOf, type OpenTrainData } from "../src/run/session/training-data.js";
import { sidesOf } from "../src/support/shape.js";
import type { MicroBatch } from "../src/train/step/step-parts.js";

interface Scene {
  pixels: Uint8Array;
  boxes: number[][];
  labels: number[];
}

/**
 * A generator of numbers on [0, 1) (mulberry32). Not the library's `Rng`: what the tests expect of training was chosen
 * on the scenes that this one draws.
 */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function scene(seed: number, side: number): Scene {
  const next = random(seed);
  const pixels = new Uint8Array(side * side * 3).fill(128);
  const boxes: number[][] = [];
  const labels: number[] = [];
  for (let i = 0; i < 2; i++) {
    const size = Math.floor(side * (0.25 + 0.2 * next()));
    const [x, y] = [Math.floor(next() * (side - size)), Math.floor(next() * (side - size))];
    const label = Math.floor(next() * 2);
    for (let v = y; v < y + size; v++) for (let u = x; u < x + size; u++) pixels[(v * side + u) * 3 + label * 2] = 255;
    boxes.push([x, y, x + size, y + size]);
    labels.push(label);
  }
  return { pixels, boxes, labels };
}

/** `images` training scenes and as many for validation. */
export function squares(images: number): OpenTrainData {
  return async (settings, { seed, size: trained, evaluationSize, shard: { rank, size } = { rank: 0, size: 1 } }) => {
    const [[side], [evaluationSide]] = [sidesOf(trained), sidesOf(evaluationSize)];
    const { batchSize } = settings;
    const effective = effectiveBatch(settings);
    const stepsPerEpoch = epochPlaces(images, effective) / effective;
    const inStep = microBatchesOf(settings);
    const micro = (first: number): MicroBatch => {
      const scenes = Array.from({ length: batchSize }, (_, i) => scene(seed * 1000 + ((first + i) % images), side));
      return {
        images: Uint8Array.from(scenes.flatMap(({ pixels }) => [...pixels])),
        height: side,
        width: side,
        targets: scenes.map(({ boxes, labels }, i) => ({
          imageId: first + i,
          labels: Int32Array.from(labels),
          boxes: Float32Array.from(
            boxes.flatMap(([x1, y1, x2, y2]) => [
              (x1 + x2) / 2 / side,
              (y1 + y2) / 2 / side,
              (x2 - x1) / side,
              (y2 - y1) / side,
            ]),
          ),
        })),
      };
    };
    return {
      classNames: ["red", "blue"],
      trainImages: images,
      validImages: images,
      testImages: 0,
      contents: {
        train: { images, objects: 2 * images, sha256: `squares ${images}` },
        valid: { images, objects: 2 * images, sha256: `squares ${images}` },
      },
      stepsPerEpoch,
      warnings: [],
      images: () => [],
      leftOut: () => [],
      close: async () => {},
      async *steps(epoch, from) {
        for (let step = from; step < stepsPerEpoch; step++)
          yield Array.from({ length: inStep / size }, (_, i) =>
            micro(((epoch * stepsPerEpoch + step) * inStep + rank + i * size) * batchSize),
          );
      },
      async *evaluation(_split, batch) {
        for (let first = rank * batch; first < images; first += size * batch) {
          const scenes = Array.from({ length: Math.min(batch, images - first) }, (_, i) =>
            scene(seed * 1000 + first + i, evaluationSide),
          );
          const result: EvaluationBatch = {
            images: Uint8Array.from(scenes.flatMap(({ pixels }) => [...pixels])),
            height: evaluationSide,
            width: evaluationSide,
            imageIds: scenes.map((_, i) => first + i),
            origSizes: scenes.map(() => [evaluationSide, evaluationSide] as const),
            truths: scenes.map(({ boxes, labels }) => ({ boxes: boxes.flat(), labels })),
          };
          yield result;
        }
      },
    };
  };
}
