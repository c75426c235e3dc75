// Which queries a proof compares.

/** Queries with a lower score are no detections at any useful threshold. */
export const leastScore = 0.1;
/** Where fewer queries have that score, as in a model that has learned little, this many of the best are compared. */
export const fewest = 16;
