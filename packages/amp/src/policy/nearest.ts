// Finds the names that resemble a misspelt one.

/**
 * The number of insertions, deletions, substitutions and swaps of neighbouring characters that turn `a` into `b`
 * (optimal string alignment distance).
 */
export function editDistance(a: string, b: string): number {
  const distances: number[][] = [];
  const at = (i: number, j: number): number => distances[i]?.[j] ?? Number.POSITIVE_INFINITY;
  for (let i = 0; i <= a.length; i++) {
    const row: number[] = [];
    distances.push(row);
    for (let j = 0; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const best = Math.min(
        at(i - 1, j) + 1,
        at(i, j - 1) + 1,
        at(i - 1, j - 1) + (same ? 0 : 1),
        swapped ? at(i - 2, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
      row.push(i + j === 0 ? 0 : best);
    }
  }
  return at(a.length, b.length);
}

/**
 * The candidates that resemble `name`, best first and at most `count`. A candidate resembles `name` if few edits lead
 * from one to the other, or if one contains the other.
 */
export function nearest(name: string, candidates: readonly string[], count = 3): string[] {
  return candidates
    .map((candidate) => ({
      candidate,
      distance:
        candidate.includes(name) || (candidate.length > 3 && name.includes(candidate))
          ? 1
          : editDistance(name, candidate),
    }))
    .filter(({ candidate, distance }) => distance <= Math.max(2, Math.min(name.length, candidate.length) / 3))
    .sort((a, b) => a.distance - b.distance || a.candidate.length - b.candidate.length)
    .slice(0, count)
    .map(({ candidate }) => candidate);
}
