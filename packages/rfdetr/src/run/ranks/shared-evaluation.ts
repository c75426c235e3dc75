// An evaluation that the processes of a run share: each takes the batches of its shard, rank 0 scores them all.
import type { CocoEvaluator } from "../../eval/coco/coco.js";
import {
  addScored,
  type EvaluationOptions,
  evaluatorOf,
  type ScoredBatch,
  scoredBatches,
} from "../../eval/evaluate.js";
import type { Ranks } from "./ranks.js";

type Part = Pick<ScoredBatch, "images" | "nonFinite" | "loss"> & { number: number };

/** What a process says after each of its batches. */
interface Round {
  /** Null where it has none left. */
  part: Part | null;
  /** The value of its flag to stop. */
  stop: number;
  /** Of rank 0: whether the evaluation ends here. */
  ends: boolean;
}

/**
 * Takes part in an evaluation. The figures have the bits of one process, because the images are scored in the order of
 * their batches.
 * @param heard receives the flags to stop of all processes
 * @returns the filled evaluator on rank 0; null on the others, and where `progress` stopped it
 */
export async function evaluateTogether(
  ranks: Ranks,
  options: EvaluationOptions,
  { stop, heard }: { stop: () => number; heard: (stops: readonly number[]) => void },
): Promise<CocoEvaluator | null> {
  const batches = scoredBatches(options);
  const parts: Part[] = [];
  let [images, ends] = [0, false];
  try {
    for (let round = 0; ; round++) {
      const next = ends ? { done: true as const, value: undefined } : await batches.next();
      const number = next.done ? 0 : (next.value.number ?? round * ranks.size + ranks.rank);
      const part = next.done ? null : partOf(next.value, number);
      const rounds = ranks.gather<Round>({ part, stop: stop(), ends });
      heard(rounds.map((each) => each.stop));
      if (rounds[0].ends) return null;
      const made = rounds.flatMap((each) => each.part ?? []);
      if (made.length === 0) break;
      if (ranks.rank > 0) continue;
      parts.push(...made);
      images += made.reduce((sum, each) => sum + each.images.length, 0);
      ends = options.progress?.(images) === false;
    }
  } finally {
    await batches.return(undefined);
  }
  if (ranks.rank > 0) return null;
  const evaluator = evaluatorOf(options);
  for (const part of parts.sort((a, b) => a.number - b.number)) {
    addScored(evaluator, part);
    if (part.loss !== null) options.loss?.add(part.loss);
  }
  return evaluator;
}

const partOf = ({ images, nonFinite, loss }: ScoredBatch, number: number): Part => ({
  images,
  nonFinite,
  loss,
  number,
});
