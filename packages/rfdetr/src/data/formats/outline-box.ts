// The box around an outline, for annotations that have no box.

/** Left, top, width and height in pixels. */
type Box = [x: number, y: number, width: number, height: number];

/**
 * The box around a COCO segmentation: polygons, or a run-length encoding with its counts as numbers or as text.
 * @returns null if it is none of these, or empty
 */
export function outlineBox(segmentation: unknown): Box | null {
  if (Array.isArray(segmentation)) return pointsBox(segmentation.flat());
  const { size, counts } = (segmentation ?? {}) as { size?: unknown; counts?: unknown };
  if (!Array.isArray(size) || !size.slice(0, 2).every((side) => Number.isSafeInteger(side) && side > 0)) return null;
  if (size.length < 2) return null;
  const runs = typeof counts === "string" ? decodeCounts(counts) : counts;
  return Array.isArray(runs) ? runsBox(runs, size[0] as number) : null;
}

/** The box around points `x, y, x, y, …`. */
export function pointsBox(numbers: readonly unknown[]): Box | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i + 1 < numbers.length; i += 2) {
    const [x, y] = [numbers[i], numbers[i + 1]];
    if (typeof x !== "number" || typeof y !== "number" || !Number.isFinite(x + y)) return null;
    [left, right, top, bottom] = [Math.min(left, x), Math.max(right, x), Math.min(top, y), Math.max(bottom, y)];
  }
  return right > left && bottom > top ? [left, top, right - left, bottom - top] : null;
}

/** The box around the odd runs, which are the object; pixels go down the columns. */
function runsBox(runs: readonly unknown[], height: number): Box | null {
  let [left, top, right, bottom] = [Infinity, Infinity, -1, -1];
  let at = 0;
  for (const [i, run] of runs.entries()) {
    if (!Number.isSafeInteger(run) || (run as number) < 0) return null;
    const length = run as number;
    if (i % 2 === 1 && length > 0) {
      const last = at + length - 1;
      const columns = [Math.floor(at / height), Math.floor(last / height)];
      left = Math.min(left, columns[0]);
      right = Math.max(right, columns[1]);
      // A run that goes on in the next column touches the lower and the upper edge.
      top = Math.min(top, columns[0] === columns[1] ? at % height : 0);
      bottom = Math.max(bottom, columns[0] === columns[1] ? last % height : height - 1);
    }
    at += length;
  }
  return right < 0 ? null : [left, top, right - left + 1, bottom - top + 1];
}

/**
 * The counts of COCO's compressed encoding: five bits a character, the lowest first, signed; from the third on each is
 * the difference to the one before the last (`rleFrString` of the COCO API).
 */
function decodeCounts(text: string): number[] | null {
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
