// Ranges of activations for int8: histograms over images.

/** Numbers between which eight bits are spread. Both enclose zero, which must be a number of int8. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** Bins on each side of zero. */
const bins = 2048;

/** Counts elements by size. The bins grow with the largest element, so that one pass is enough. */
export class Histogram {
  #counts = new Float64Array(2 * bins);
  #width = 2 ** -20;
  #amax = 0;

  add(elements: Float32Array): void {
    for (const element of elements) {
      const size = Math.abs(element);
      if (size > this.#amax && size < Number.POSITIVE_INFINITY) this.#amax = size;
    }
    while (this.#amax >= bins * this.#width) this.#grow();
    for (const element of elements) {
      const bin = bins + Math.floor(element / this.#width);
      if (bin >= 0 && bin < 2 * bins) this.#counts[bin]++;
    }
  }

  #grow(): void {
    const wide = new Float64Array(2 * bins);
    for (let i = 0; i < 2 * bins; i++) wide[bins + Math.floor((i - bins) / 2)] += this.#counts[i];
    this.#counts = wide;
    this.#width *= 2;
  }

  /** The range that leaves out `share` of the elements, half of it at each end. */
  percentile(share: number): Range {
    const left = (this.#counts.reduce((a, b) => a + b, 0) * share) / 2;
    const end = (from: number, step: number): number => {
      let [at, seen] = [from, 0];
      while (at >= 0 && at < 2 * bins && seen + this.#counts[at] <= left) {
        seen += this.#counts[at];
        at += step;
      }
      return at;
    };
    return {
      min: Math.min(0, (end(0, 1) - bins) * this.#width),
      max: Math.max(0, (end(2 * bins - 1, -1) + 1 - bins) * this.#width),
    };
  }
}
