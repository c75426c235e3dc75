// Masks in COCO's files: counts as numbers, or as text that packs five bits into a character.
import { type Mask, mostMaskPixels } from "./mask.js";

/** A mask as COCO's files and pycocotools have it. */
export interface CocoRuns {
  size: [height: number, width: number];
  /** The compressed counts. */
  counts: string;
}

/**
 * A mask as pycocotools writes it. Source: `rleToString` of the COCO API.
 *
 * @example
 * const segmentation = toCocoRuns(encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2)); // { size: [2, 2], counts: "22" }
 */
export function toCocoRuns({ height, width, counts }: Mask): CocoRuns {
  let text = "";
  for (let i = 0; i < counts.length; i++) {
    let rest = i > 2 ? counts[i] - counts[i - 2] : counts[i];
    for (let more = true; more; ) {
      // Counts have up to 32 bits and a difference has a sign too: shifts would cut both.
      const low = ((rest % 32) + 32) % 32;
      rest = Math.floor(rest / 32);
      more = (low & 16) !== 0 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode((more ? low | 32 : low) + 48);
    }
  }
  return { size: [height, width], counts: text };
}

/**
 * The counts of COCO's compressed encoding: five bits a character, the lowest first, signed; from the fourth on each is
 * the difference to the one before the last. Source: `rleFrString` of the COCO API.
 * @returns null if the text is no such encoding; the counts may still be negative, or not fit their image
 */
export function decodeCounts(text: string): number[] | null {
  const counts: number[] = [];
  for (let at = 0; at < text.length; ) {
    let value = 0;
    let factor = 1;
    for (let more = true; more; ) {
      const bits = text.charCodeAt(at++) - 48;
      if (!(bits >= 0 && bits < 64) || factor > 2 ** 40) return null;
      value += (bits & 31) * factor;
      factor *= 32;
      more = (bits & 32) !== 0;
      if (!more && (bits & 16) !== 0) value -= factor;
    }
    counts.push(counts.length > 2 ? value + (counts.at(-2) as number) : value);
  }
  return counts;
}

/**
 * The mask that a COCO segmentation states as runs, with its counts as numbers or as text.
 * @returns null if it is none, or if its counts do not fill the image
 *
 * @example
 * const mask = fromCocoRuns({ size: [2, 2], counts: [2, 2] });
 * if (mask !== null) console.log(decodeMask(mask)); // 0, 1, 0, 1
 */
export function fromCocoRuns(segmentation: unknown): Mask | null {
  const { size, counts } = (segmentation ?? {}) as { size?: unknown; counts?: unknown };
  if (!Array.isArray(size) || size.length < 2 || !size.every((side) => Number.isSafeInteger(side) && side > 0))
    return null;
  const runs: unknown = typeof counts === "string" ? decodeCounts(counts) : counts;
  if (!Array.isArray(runs) || !runs.every((run) => Number.isSafeInteger(run) && run >= 0)) return null;
  const [height, width] = size as number[];
  if (height * width > mostMaskPixels) return null;
  if (runs.reduce((sum: number, run: number) => sum + run, 0) !== height * width) return null;
  return { height, width, counts: Uint32Array.from(runs as number[]) };
}
