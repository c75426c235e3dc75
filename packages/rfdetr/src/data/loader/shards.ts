// Which batches of an order are those of one of several processes.

/** The place of a process among those that work together. */
export interface Shard {
  /** From 0. */
  rank: number;
  size: number;
}

/** All there is. */
export const wholeShard: Shard = { rank: 0, size: 1 };

/** The places, of a number that are cut into batches, whose batches are those of a shard: of number r, r + size, …. */
export function placesOf(places: number, batchSize: number, { rank, size }: Shard): Int32Array {
  const mine: number[] = [];
  for (let start = rank * batchSize; start < places; start += size * batchSize)
    for (let place = start; place < Math.min(start + batchSize, places); place++) mine.push(place);
  return Int32Array.from(mine);
}
