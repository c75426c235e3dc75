// Golden inputs and outputs: an exported file carries them, and whoever loads it runs them. Some runtimes compute some
// operators wrongly, and a wrong box looks like any other. No import of Node.

/** An input that is drawn from a seed, and what the detector's own forward pass gives for it. */
export interface Golden {
  seed: number;
  /** The queries with the highest scores. */
  queries: GoldenQuery[];
}

/** What one query gives. */
export interface GoldenQuery {
  /** Index of the class with the highest score. */
  class: number;
  score: number;
  /** Centre x, centre y, width, height as fractions of the image. */
  box: [number, number, number, number];
  /** Share of the mask's pixels that are the object, where the model has masks. */
  mask?: number;
}

/** How far the file may be from its goldens. */
export interface GoldenTolerance {
  /** Of a box coordinate, in pixels of the model's input. */
  box_px: number;
  score: number;
  /** Of a {@link GoldenQuery}'s mask; of the masks themselves where files are proved: 1 − IoU. */
  mask?: number;
}

/** How far a run is from the goldens. */
export interface GoldenError {
  /** Largest difference of a box coordinate, in pixels of the model's input. */
  boxPx: number;
  /** Largest difference of a score. */
  score: number;
  /** Largest difference of a mask's share of object pixels, where the file has masks. */
  mask?: number;
  /** Whether all are within the file's tolerance. */
  holds: boolean;
}

/** Raw outputs of a model for one image. */
export interface RawOutputs {
  /** `[queries × 4]`: centre x, centre y, width, height as fractions of the image. */
  boxes: Float32Array;
  /** `[queries × rows]`: class logits. */
  logits: Float32Array;
  /** Mask logits of all queries, of a model with a segmentation head. */
  masks?: RawMasks;
}

/** Mask logits of one image. */
export interface RawMasks {
  /** `[queries × height × width]` */
  logits: Float32Array;
  height: number;
  width: number;
}

/** Queries that {@link goldenQueries} keeps. */
const kept = 16;

/**
 * Draws a golden input: soft shades, rectangles and discs, computed from integers, so that every machine has the same
 * bytes.
 * @returns `[height, width, 3]`
 */
export function goldenPixels(seed: number, height: number, width: number): Uint8Array {
  const pixels = new Uint8Array(height * width * 3);
  const next = random(seed);
  const corners = Array.from({ length: 12 }, () => next(256));
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++, at++) {
        const top = corners[c] * (width - x) + corners[3 + c] * x;
        const bottom = corners[6 + c] * (width - x) + corners[9 + c] * x;
        pixels[at] = Math.floor((top * (height - y) + bottom * y) / (width * height));
      }
  for (let shape = 0; shape < 12; shape++) {
    const [halfWidth, halfHeight] = [2 + next(width >> 2), 2 + next(height >> 2)];
    const [middleX, middleY] = [next(width), next(height)];
    const colour = [next(256), next(256), next(256)];
    const round = next(2) === 1;
    for (let y = Math.max(0, middleY - halfHeight); y < Math.min(height, middleY + halfHeight); y++)
      for (let x = Math.max(0, middleX - halfWidth); x < Math.min(width, middleX + halfWidth); x++) {
        const [dx, dy] = [(x - middleX) * halfHeight, (y - middleY) * halfWidth];
        if (!round || dx * dx + dy * dy < (halfWidth * halfHeight) ** 2) pixels.set(colour, (y * width + x) * 3);
      }
  }
  return pixels;
}

/** Integers from 0 to `below` − 1, by a linear congruential generator (Numerical Recipes, §7.1). */
function random(seed: number): (below: number) => number {
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor(((state >>> 8) / 2 ** 24) * below);
  };
}

/** The queries of a golden: those with the highest scores. */
export function goldenQueries({ boxes, logits, masks }: RawOutputs): GoldenQuery[] {
  const rows = logits.length / (boxes.length / 4);
  const queries = Array.from({ length: boxes.length / 4 }, (_, query): GoldenQuery => {
    const own = logits.subarray(query * rows, (query + 1) * rows);
    const best = own.reduce((before, logit, row) => (logit > own[before] ? row : before), 0);
    const [x, y, width, height] = boxes.subarray(query * 4, query * 4 + 4);
    const mask = masks && { mask: objectShare(masks, query) };
    return { class: best, score: sigmoid(own[best]), box: [x, y, width, height], ...mask };
  });
  return queries.sort((a, b) => b.score - a.score).slice(0, kept);
}

/** Share of a query's mask that is the object; NaN where a logit is. */
function objectShare({ logits, height, width }: RawMasks, query: number): number {
  const own = logits.subarray(query * height * width, (query + 1) * height * width);
  if (own.some(Number.isNaN)) return Number.NaN;
  return own.reduce((sum, logit) => sum + Number(logit > 0), 0) / own.length;
}

/**
 * Compares outputs with a golden. Each expected query is held to the query that is nearest to it: two candidates of
 * nearly the same score may change places.
 */
export function compareGolden(
  expected: readonly GoldenQuery[],
  { boxes, logits, masks }: RawOutputs,
  tolerance: GoldenTolerance,
  [height, width]: readonly [height: number, width: number],
): GoldenError {
  const rows = logits.length / (boxes.length / 4);
  const sides = [width, height, width, height];
  const far = Number.POSITIVE_INFINITY;
  const worst: Omit<GoldenError, "holds"> = { boxPx: 0, score: 0 };
  for (const { class: row, score, box, mask } of expected) {
    let nearest = { query: 0, boxPx: far, score: far, sum: far };
    for (let query = 0; query < boxes.length / 4; query++) {
      const boxPx = Math.max(...box.map((side, i) => Math.abs(side - boxes[query * 4 + i]) * sides[i]));
      const scoreError = Math.abs(score - sigmoid(logits[query * rows + row]));
      const sum = boxPx / tolerance.box_px + scoreError / tolerance.score;
      if (sum < nearest.sum) nearest = { query, boxPx, score: scoreError, sum };
    }
    worst.boxPx = Math.max(worst.boxPx, nearest.boxPx);
    worst.score = Math.max(worst.score, nearest.score);
    if (mask === undefined) continue;
    const found = masks === undefined ? far : Math.abs(mask - objectShare(masks, nearest.query));
    worst.mask = Math.max(worst.mask ?? 0, found);
  }
  const masksHold = worst.mask === undefined || worst.mask <= (tolerance.mask ?? 0);
  return { ...worst, holds: worst.boxPx <= tolerance.box_px && worst.score <= tolerance.score && masksHold };
}

/** The larger of two errors, part by part. */
export function worseOf(a: GoldenError, b: GoldenError): GoldenError {
  const mask = a.mask !== undefined && b.mask !== undefined ? { mask: Math.max(a.mask, b.mask) } : {};
  return { boxPx: Math.max(a.boxPx, b.boxPx), score: Math.max(a.score, b.score), ...mask, holds: a.holds && b.holds };
}

/** An error in words: `boxes 0.02 px, scores 0.0001 off`. */
export function errorInWords({ boxPx, score, mask }: Omit<GoldenError, "holds">): string {
  if (!Number.isFinite(boxPx + score + (mask ?? 0))) return "not finite";
  const short = (value: number): string =>
    value === 0
      ? "0"
      : value
          .toPrecision(2)
          .replace(
            /e-(\d+)/,
            (_, digits: string) => ` × 10⁻${digits.replace(/\d/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[Number(digit)])}`,
          );
  const masks = mask === undefined ? "" : `, areas of masks ${short(mask)}`;
  return `boxes ${short(boxPx)} px, scores ${short(score)}${masks} off`;
}

/** In float32, as the detector computes it. */
function sigmoid(logit: number): number {
  return Math.fround(1 / (1 + Math.exp(-logit)));
}
