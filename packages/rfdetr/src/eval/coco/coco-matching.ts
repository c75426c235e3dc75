// Detections matched with ground truths, as pycocotools does it (`COCOeval.evaluateImg`).
import { AREA_MAX, AREA_MIN, IOU_THRESHOLDS } from "./coco-parameters.js";
import type { OrderedTables, RowRange } from "./ordered-tables.js";

const AREAS = AREA_MIN.length;
const THRESHOLDS = IOU_THRESHOLDS.length;

/**
 * Matches of one class over all images. Slot s is the s-th kept detection, image after image, best first within an
 * image. Bit t of `matched[area * capacity + s]` says that the detection took a ground truth at IoU threshold t, bit
 * t of `ignored` that it counts neither as true nor as false at t.
 */
export class ClassMatches {
  /** Detections kept so far. */
  count = 0;
  /** Ground truths that count, per area range. */
  readonly positives = new Int32Array(AREAS);
  /** Images with a ground truth of the class that is not a crowd. */
  images = 0;
  score = new Float64Array(0);
  /** Place of the detection among its image's detections of the class, 0 the best. */
  rank = new Int32Array(0);
  matched = new Uint16Array(0);
  ignored = new Uint16Array(0);
  capacity = 0;

  /** Empties the record and makes room for `capacity` detections. */
  reset(capacity: number): void {
    this.count = 0;
    this.images = 0;
    this.positives.fill(0);
    if (capacity > this.capacity) {
      this.capacity = capacity;
      this.score = new Float64Array(capacity);
      this.rank = new Int32Array(capacity);
      this.matched = new Uint16Array(capacity * AREAS);
      this.ignored = new Uint16Array(capacity * AREAS);
    }
  }
}

/**
 * Greedy matching of one image and class, in pycocotools' order (`COCOeval.evaluateImg`). What it holds are the work
 * arrays of the image and class that it matches: G ground truths and D detections.
 */
export class ImageMatcher {
  #G = 0;
  #D = 0;
  /** `[D, G]`. */
  #iou = new Float64Array(64);
  /** `[G]`: the ground truths, those that count in an area range first. */
  #order = new Int32Array(16);
  #crowd = new Uint8Array(16);
  #ignore = new Uint8Array(16);
  #taken = new Uint8Array(16);

  /**
   * Appends the detections of an image and class to `out`, matched with its ground truths, for every area range and IoU
   * threshold.
   * @param limit how many of the detections count, the best first
   */
  match(tables: OrderedTables, { gStart, gEnd, dStart, dEnd }: RowRange, limit: number, out: ClassMatches): void {
    const { detections, detectionOrder } = tables;
    const G = gEnd - gStart;
    const D = Math.min(dEnd - dStart, limit);
    const first = out.count;
    for (let d = 0; d < D; d++) {
      out.score[first + d] = detections.score[detectionOrder[dStart + d]];
      out.rank[first + d] = d;
    }
    out.count += D;

    this.#begin(D, G);
    const overlapping = this.#compare(tables, gStart, dStart);
    for (let g = 0; g < G; g++) {
      if (this.#crowd[g] === 1) continue;
      out.images++;
      break;
    }

    const sizes = tables.overlaps.detectionArea;
    for (let area = 0; area < AREAS; area++) {
      const low = AREA_MIN[area];
      const high = AREA_MAX[area];
      const regular = this.#orderTruths(tables, gStart, low, high);
      out.positives[area] += regular;
      const base = area * out.capacity + first;
      out.matched.fill(0, base, base + D);
      out.ignored.fill(0, base, base + D);
      if (overlapping) {
        for (let t = 0; t < THRESHOLDS; t++) this.#matchAt(t, regular, out, base);
      }
      for (let d = 0; d < D; d++) {
        const size = sizes[detectionOrder[dStart + d]];
        // Unmatched detections outside the area range count for nothing.
        if (size < low || size > high) out.ignored[base + d] |= ~out.matched[base + d];
      }
    }
  }

  /** Fills in the IoU; returns whether any may match. */
  #compare({ truths, truthOrder, detectionOrder, overlaps }: OrderedTables, gStart: number, dStart: number): boolean {
    const [G, D] = [this.#G, this.#D];
    let overlapping = false;
    for (let g = 0; g < G; g++) {
      const row = truthOrder[gStart + g];
      const isCrowd = truths.crowd[row] === 1;
      this.#crowd[g] = truths.crowd[row];
      for (let d = 0; d < D; d++) {
        const detection = detectionOrder[dStart + d];
        const iou = isCrowd ? overlaps.crowdIou(detection, row) : overlaps.iou(detection, row);
        this.#iou[d * G + g] = iou;
        if (iou >= IOU_THRESHOLDS[0]) overlapping = true;
      }
    }
    return overlapping;
  }

  /** Lists the truths with those that count first, both parts in their given order; returns how many count. */
  #orderTruths({ truthOrder, overlaps }: OrderedTables, gStart: number, low: number, high: number): number {
    const G = this.#G;
    const areas = overlaps.truthArea;
    let regular = 0;
    for (let g = 0; g < G; g++) {
      const area = areas[truthOrder[gStart + g]];
      const ignore = this.#crowd[g] === 1 || area < low || area > high;
      this.#ignore[g] = ignore ? 1 : 0;
      if (!ignore) this.#order[regular++] = g;
    }
    let at = regular;
    for (let g = 0; g < G; g++) if (this.#ignore[g] === 1) this.#order[at++] = g;
    return regular;
  }

  /**
   * Matches at IoU threshold t.
   * @param regular how many of `#order` count
   * @param base where `out` has the detections of this image and area range
   */
  #matchAt(t: number, regular: number, out: ClassMatches, base: number): void {
    const [G, D] = [this.#G, this.#D];
    const bit = 1 << t;
    const threshold = Math.min(IOU_THRESHOLDS[t], 1 - 1e-10);
    const taken = this.#taken;
    taken.fill(0, 0, G);
    for (let d = 0; d < D; d++) {
      let best = threshold;
      let match = -1;
      for (let k = 0; k < G; k++) {
        // A match that counts is never given up for an ignored one.
        if (k === regular && match >= 0) break;
        const g = this.#order[k];
        if (taken[g] === 1) continue;
        const iou = this.#iou[d * G + g];
        // Of equal overlaps the later truth wins, as in pycocotools.
        if (iou < best) continue;
        best = iou;
        match = k;
      }
      if (match < 0) continue;
      const g = this.#order[match];
      // A crowd region takes any number of detections.
      if (this.#crowd[g] === 0) taken[g] = 1;
      out.matched[base + d] |= bit;
      if (match >= regular) out.ignored[base + d] |= bit;
    }
  }

  #begin(D: number, G: number): void {
    this.#D = D;
    this.#G = G;
    if (this.#iou.length < D * G) this.#iou = new Float64Array(D * G * 2);
    if (this.#order.length < G) {
      this.#order = new Int32Array(G * 2);
      this.#crowd = new Uint8Array(G * 2);
      this.#ignore = new Uint8Array(G * 2);
      this.#taken = new Uint8Array(G * 2);
    }
  }
}
