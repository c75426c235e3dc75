// How far two masks overlap, counted on their runs.
import { type Mask, maskArea, maskBox } from "./mask.js";

/** A mask with what is looked up whenever it is compared. */
export interface MeasuredMask {
  mask: Mask;
  /** Number of pixels of the object. */
  area: number;
  /** See {@link maskBox}. */
  box: readonly [left: number, top: number, right: number, bottom: number] | null;
}

/** Measures a mask for {@link maskIou}. */
export const measureMask = (mask: Mask): MeasuredMask => ({ mask, area: maskArea(mask), box: maskBox(mask) });

/**
 * Number of pixels that are of both objects; the masks have one size.
 *
 * @example
 * const mask = encodeMask(Uint8Array.of(0, 1, 0, 1), 2, 2);
 * maskIntersection(mask, mask); // 2
 */
export function maskIntersection({ counts: a }: Mask, { counts: b }: Mask): number {
  let shared = 0;
  // Each object run from its first pixel to the one after its last, as positions down the columns.
  let [i, aStart, aEnd] = [1, a[0], a[0] + a[1]];
  let [j, bStart, bEnd] = [1, b[0], b[0] + b[1]];
  while (i < a.length && j < b.length) {
    const length = Math.min(aEnd, bEnd) - Math.max(aStart, bStart);
    if (length > 0) shared += length;
    if (aEnd <= bEnd) {
      i += 2;
      aStart = aEnd + a[i - 1];
      aEnd = aStart + a[i];
    } else {
      j += 2;
      bStart = bEnd + b[j - 1];
      bEnd = bStart + b[j];
    }
  }
  return shared;
}

/** The same of measured masks: those whose boxes lie apart are not looked at. */
export function sharedPixels(a: MeasuredMask, b: MeasuredMask): number {
  if (a.box === null || b.box === null) return 0;
  if (a.box[0] >= b.box[2] || b.box[0] >= a.box[2] || a.box[1] >= b.box[3] || b.box[1] >= a.box[3]) return 0;
  return maskIntersection(a.mask, b.mask);
}

/**
 * Intersection over union of two masks of one size; 0 where one is empty. Source: `maskApi.c: rleIou` of pycocotools.
 * @param crowd whether `b` is a crowd region: then the share of `a` that lies in it
 *
 * @example
 * const [a, b] = [Uint8Array.of(1, 1), Uint8Array.of(0, 1)].map((bits) => measureMask(encodeMask(bits, 1, 2)));
 * maskIou(a, b); // 0.5
 */
export function maskIou(a: MeasuredMask, b: MeasuredMask, crowd = false): number {
  const shared = sharedPixels(a, b);
  return shared === 0 ? 0 : shared / (crowd ? a.area : a.area + b.area - shared);
}

/** Intersection over union of two detections of one mask; 1 where both found nothing. */
export function maskAgreement(a: Mask, b: Mask): number {
  const [one, other] = [measureMask(a), measureMask(b)];
  return one.area + other.area === 0 ? 1 : maskIou(one, other);
}
