// How many images go together: a given number, or the fastest, measured on the first batches.
import { availableMemory } from "../support/machine/memory.js";

/** Most images that are tried together. */
const most = 64;
/** Batches of a size that are run before the next: the first warms up, the others are measured. */
const runs = 3;
/** A size is better only if an image takes less than this share of the time before. */
const better = 0.95;
/** Bytes that stay free. */
const margin = 512 * 2 ** 20;

/** Size of the next batch. */
export class BatchSize {
  /** Images of the next batch. */
  current: number;
  #best = { size: 1, perImage: Number.POSITIVE_INFINITY };
  #times: number[] = [];
  #settled: boolean;
  readonly #memory: () => { peak: number; free: number };
  #peak = 0;

  /** @param memory the most bytes that the process has had, and those that it may still take */
  constructor(wanted: number | "auto", memory = measuredMemory) {
    this.#settled = wanted !== "auto";
    this.current = wanted === "auto" ? 1 : wanted;
    this.#memory = memory;
  }

  /** Takes how long a batch took. Doubles the size as long as that makes an image faster and memory suffices. */
  took(images: number, milliseconds: number): void {
    if (this.#settled || images !== this.current) return;
    // The model is loaded by now.
    if (this.#peak === 0) this.#peak = this.#memory().peak;
    this.#times.push(milliseconds / images);
    if (this.#times.length < runs) return;
    const perImage = Math.min(...this.#times.slice(1));
    this.#times = [];
    const faster = perImage < this.#best.perImage * better;
    if (faster) this.#best = { size: this.current, perImage };
    const { peak, free } = this.#memory();
    const fits = free > 2 * (peak - this.#peak) + margin;
    if (faster && fits && this.current * 2 <= most) this.current *= 2;
    else this.#settle();
  }

  /** Memory did not suffice for a batch. */
  tooLarge(images: number): void {
    if (this.#settled && this.current < images) return;
    this.#best.size = Math.min(this.#best.size, Math.max(1, Math.floor(images / 2)));
    this.#settle();
  }

  #settle(): void {
    this.current = this.#best.size;
    this.#settled = true;
  }
}

function measuredMemory(): { peak: number; free: number } {
  return { peak: process.resourceUsage().maxRSS * 1024, free: availableMemory() };
}
