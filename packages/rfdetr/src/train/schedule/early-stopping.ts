// Stops training when the figure no longer improves.

/** What a checkpoint keeps. */
export interface EarlyStoppingState {
  best: number;
  waited: number;
}

/**
 * Ends training after `patience` evaluations without a gain of more than `minDelta`, as Lightning's EarlyStopping in
 * mode max.
 *
 * @example
 * const stopping = new EarlyStopping(10, 0.001);
 * for (const ap of [0.2, 0.3, 0.3]) if (stopping.update(ap)) break;
 */
export class EarlyStopping {
  #best = Number.NEGATIVE_INFINITY;
  #waited = 0;

  constructor(
    readonly patience: number,
    readonly minDelta: number,
  ) {}

  /**
   * Adds the figure of an evaluation. One that is not finite is no improvement. @returns whether training should end
   */
  update(figure: number): boolean {
    if (figure > this.#best + this.minDelta) {
      this.#best = figure;
      this.#waited = 0;
    } else this.#waited++;
    return this.#waited >= this.patience;
  }

  state(): EarlyStoppingState {
    return { best: Number.isFinite(this.#best) ? this.#best : -1, waited: this.#waited };
  }
  load(state: EarlyStoppingState): void {
    this.#best = state.best < 0 ? Number.NEGATIVE_INFINITY : state.best;
    this.#waited = state.waited;
  }
}
