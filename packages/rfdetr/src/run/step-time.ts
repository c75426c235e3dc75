// How long a step of average size takes, for what is said of a run before it begins.

import { pixelsOf, type Shape } from "../support/shape.js";
import { trainingStep } from "../train/step/step.js";
import type { MicroBatch } from "../train/step/step-parts.js";
import { nextImages } from "./custom-code.js";
import type { Session } from "./session/session.js";

/** Times of a step of average size, in seconds. */
export interface StepTime {
  /** The mean, and the shortest and longest that were measured. */
  seconds: { step: number; least: number; most: number };
  /** What was timed: steps, the sizes of their images, and whether batches were loaded beside them. */
  timed: { steps: number; sizes: Shape[]; loading: boolean };
}

/** Seconds that quick steps are timed for at least, and those that all sizes may take to be timed. */
const [leastTimed, mostTimed] = [2, 10];
/** Steps that are timed at most where each is slow, and the seconds that those after the first may take. */
const [mostSlow, slowTimed] = [4, 20];

/**
 * Takes steps and times them. Slow ones are as long as their pixels say, and as many are taken as do not take long.
 * Quick ones are taken with the loading beside them, which holds them up, and at every size, since much of their time
 * depends on no size.
 * @param microBatches of a step of the largest size
 * @param largest seconds that it took
 */
export async function timeSteps(
  session: Session,
  { microBatches, largest }: { microBatches: readonly MicroBatch[]; largest: number },
  progress: (what: string) => void,
): Promise<StepTime> {
  const { parts, ema, data, settings, waits } = session;
  const sizes = session.scales ?? [session.modelConfig.resolution];
  if (largest * sizes.length > mostTimed) {
    const take = (size: Shape): number => {
      const began = performance.now();
      trainingStep(parts, microBatches, { ema, size });
      return (performance.now() - began) / 1000;
    };
    return timeSlow({ sizes, largest, take }, progress);
  }
  progress("timing steps with the loading beside them");
  const rounds: number[] = [];
  let [taken, began] = [0, performance.now()];
  const first = began;
  for (let epoch = 0; ; epoch++)
    for await (const batch of waits.each(nextImages(settings), data.steps(epoch, 0))) {
      const size = session.scales?.[taken % sizes.length] ?? null;
      trainingStep(parts, batch.slice(0, settings.gradAccumSteps), { ema, size });
      if (++taken % sizes.length > 0) continue;
      const now = performance.now();
      rounds.push((now - began) / 1000 / sizes.length);
      began = now;
      if (rounds.length > 1 && now - first > 1000 * leastTimed)
        return { seconds: summary(rounds), timed: { steps: taken, sizes: [...sizes], loading: true } };
    }
}

/**
 * Times a few steps of the size nearest to the mean. @internal for tests
 * @param steps.sizes that steps have in turn, the largest last, which took `largest` seconds
 * @param steps.take takes a step and returns its seconds
 */
export function timeSlow(
  { sizes, largest, take }: { sizes: readonly Shape[]; largest: number; take: (size: Shape) => number },
  progress: (what: string) => void,
): StepTime {
  const mean = sizes.map(pixelsOf).reduce((sum, each) => sum + each, 0) / sizes.length;
  const shareOfMean = (size: Shape): number => pixelsOf(size) / mean;
  const offMean = (size: Shape): number => Math.abs(shareOfMean(size) - 1);
  const [average] = [...sizes].sort((a, b) => offMean(a) - offMean(b));
  const top = sizes[sizes.length - 1];
  const times = [largest / shareOfMean(top)];
  let spent = 0;
  while (times.length < mostSlow && spent + times[times.length - 1] * shareOfMean(average) < slowTimed) {
    if (spent === 0) progress("timing more steps");
    const seconds = take(average);
    spent += seconds;
    times.push(seconds / shareOfMean(average));
  }
  const timed = { steps: times.length, sizes: times.length > 1 && average !== top ? [average, top] : [top] };
  return { seconds: summary(times), timed: { ...timed, loading: false } };
}

function summary(times: readonly number[]): StepTime["seconds"] {
  const sorted = [...times].sort((a, b) => a - b);
  const step = sorted.reduce((sum, each) => sum + each, 0) / sorted.length;
  return { step, least: sorted[0], most: sorted[sorted.length - 1] };
}
