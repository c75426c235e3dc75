// Whether a run is well enough for its state to be kept as the one to go back to.
import { median } from "../../support/statistics.js";

/** Steps whose median loss is compared. */
const window = 8;
/** A median, or a loss, above so many times the lowest median has exploded. */
const exploded = { median: 4, loss: 8 };
/** After so many steps above it, a higher loss is the new usual one. */
const patience = 256;
/** No healthy run multiplies the norm of its weights by so much between two checkpoints. */
const growth = 10;

/**
 * Judges a run by its losses, against the lowest running median, and by the norm of its weights, which shows an update
 * that was too large before any loss does.
 */
export class RunHealth {
  readonly #recent: number[] = [];
  #lowest = Number.POSITIVE_INFINITY;
  #seen = 0;
  #high = 0;
  #norm: { kept: number; now: number } | null = null;

  /** Adds the loss of a step, applied or not. */
  loss(value: number): void {
    this.#seen++;
    this.#recent.push(Number.isFinite(value) ? value : Number.POSITIVE_INFINITY);
    if (this.#recent.length > window) this.#recent.shift();
    const middle = median(this.#recent);
    this.#high = middle <= exploded.median * this.#lowest ? 0 : this.#high + 1;
    if (middle < this.#lowest || this.#high > patience) this.#lowest = middle;
  }

  /** Sets the norm of the weights as they are now. */
  weights(norm: number): void {
    this.#norm = { kept: this.#norm?.kept ?? norm, now: norm };
  }

  /** The state is kept: its norm is the one to compare with. */
  kept(): void {
    if (this.#norm !== null) this.#norm.kept = this.#norm.now;
  }

  /** The run went back to the state that was kept. */
  wentBack(): void {
    this.#recent.length = 0;
    if (this.#norm !== null) this.#norm.now = this.#norm.kept;
  }

  /**
   * Whether the run has certainly diverged. Of the first losses nobody knows what is usual: an image with many objects
   * has another loss than one with few.
   */
  get diverged(): boolean {
    const last = this.#recent.at(-1) ?? 0;
    return !this.good && (this.#seen >= window || !Number.isFinite(last) || this.#grown);
  }

  get #grown(): boolean {
    return this.#norm !== null && !(this.#norm.now <= growth * Math.max(1, this.#norm.kept));
  }

  /** Whether the state is fit to go back to. */
  get good(): boolean {
    if (this.#grown) return false;
    if (this.#recent.length === 0) return true;
    const last = this.#recent[this.#recent.length - 1];
    if (!Number.isFinite(last)) return false;
    return median(this.#recent) <= exploded.median * this.#lowest && last <= exploded.loss * this.#lowest;
  }
}
