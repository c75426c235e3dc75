// How the batches of an epoch or of an evaluation are shared out among the processes of a run.

/** One of the processes that share the batches. */
export interface Shard {
  /** From 0. */
  rank: number;
  size: number;
}

/** The shard of a process that works alone: every batch. */
export const wholeShard: Shard = { rank: 0, size: 1 };

/**
 * The positions that a shard loads. The positions 0 to `count` − 1 are cut into batches, and the shard takes batch
 * `rank`, `rank + size`, `rank + 2 · size` and so on.
 */
export function shardPositions(count: number, batchSize: number, { rank, size }: Shard): Int32Array {
  const mine: number[] = [];
  for (let start = rank * batchSize; start < count; start += size * batchSize)
    for (let position = start; position < Math.min(start + batchSize, count); position++) mine.push(position);
  return Int32Array.from(mine);
}
