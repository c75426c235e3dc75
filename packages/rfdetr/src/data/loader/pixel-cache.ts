// Decoded images that are kept, because decoding takes longer than a training step of a small model.
import type { Pixels } from "../images/decode.js";

/** Keeps the first images that come, up to a number of bytes; none is replaced. */
export class PixelCache {
  readonly #kept = new Map<string, Pixels>();
  /** Bytes that are neither kept nor claimed. */
  #free: number;

  constructor(limit: number) {
    this.#free = limit;
  }

  get(key: string): Pixels | undefined {
    return this.#kept.get(key);
  }

  /** Sets room aside for an image that is about to be decoded. @returns `bytes`, or 0 where they do not fit */
  claim(bytes: number): number {
    if (bytes > this.#free) return 0;
    this.#free -= bytes;
    return bytes;
  }

  /** Ends a claim: keeps the image, if there is one, and frees the rest. @param claimed what {@link claim} returned */
  settle(key: string, claimed: number, pixels: Pixels | undefined): void {
    this.#free += claimed;
    if (pixels === undefined || this.#kept.has(key)) return;
    this.#kept.set(key, pixels);
    this.#free -= pixels.data.length;
  }
}
