// How noisy gradients are, from the norms of processes and of their sum.

/** The gradients of some batches, and of all their images together. */
export interface NormPair {
  /** The L2 norm of the mean gradient of each batch. */
  norms: readonly number[];
  /** Images of each of these batches. */
  images: number;
  /** The L2 norm of the mean gradient of all of them. */
  norm: number;
}

/**
 * The simple noise scale B = tr(Σ) / |G|², in images: G is the gradient of all data, Σ the covariance of the gradients
 * of single images. A batch much smaller than it gains from growing: twice the images need almost half of the steps. A
 * batch much larger does not. Source: McCandlish et al. 2018, arXiv:1812.06162, §2.2 and appendix A.1.
 *
 * Each step gives an unbiased estimate of |G|² and of tr(Σ). Both are far too noisy alone, and so is their ratio: they
 * are averaged over steps before they are divided.
 * @example
 * const noise = new NoiseScale();
 * noise.add({ norms: [1.2, 0.9], images: 8, norm: 0.8 });
 */
export class NoiseScale {
  /** Averages of |G|² and tr(Σ) over about so many of the last steps. */
  readonly #span: number;
  #steps = 0;
  #signal = 0;
  #noise = 0;

  constructor(span = 200) {
    this.#span = span;
  }

  /** Adds a step; one with a norm that is not finite, or of less than two batches, is left out. */
  add({ norms, images, norm }: NormPair): void {
    const small = norms.reduce((sum, each) => sum + each * each, 0) / norms.length;
    const large = norm * norm;
    if (norms.length < 2 || !Number.isFinite(small) || !Number.isFinite(large)) return;
    const all = norms.length * images;
    const share = 1 / Math.min(++this.#steps, this.#span);
    this.#signal += share * ((all * large - images * small) / (all - images) - this.#signal);
    this.#noise += share * ((small - large) / (1 / images - 1 / all) - this.#noise);
  }

  /**
   * In images; null as long as there are too few steps, and where no gradient stands out from the noise.
   * @param least steps that are needed
   */
  value(least = 50): number | null {
    const known = this.#steps >= least && this.#signal > 0 && this.#noise >= 0;
    return known ? this.#noise / this.#signal : null;
  }
}
