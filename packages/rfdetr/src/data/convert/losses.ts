// Counts what a conversion cannot keep.
import type { ListedImage } from "../formats/listing.js";
import type { WrittenImage } from "../write/written.js";

/** What a conversion could not keep, counted by what it is. */
export class Losses {
  readonly #counts = new Map<string, number>();

  /** @param what a sentence in the plural, without a count */
  add(what: string, count = 1): void {
    if (count > 0) this.#counts.set(what, (this.#counts.get(what) ?? 0) + count);
  }

  sentences(): string[] {
    return [...this.#counts].map(([what, count]) => `${count} × ${what}`);
  }
}

/** Converts the annotations of one image; counts what it cannot keep. */
export type ConvertImage = (image: ListedImage, losses: Losses) => Pick<WrittenImage, "width" | "height" | "boxes">;
