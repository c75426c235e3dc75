// The masks of an image as its figures need them: areas, and overlaps of detections with the ground truth.
import type { Mask } from "../../masks/mask.js";
import { type MeasuredMask, measureMask, sharedPixels } from "../../masks/overlap.js";
import { EvaluationError } from "../../support/errors.js";
import type { IntegerList } from "./box-table.js";
import type { ComparedMask, ComparedMasks, EvaluatedImage } from "./evaluated-image.js";

/** The masks of the ground truth of one image. */
export class TruthMasks {
  readonly #truths: { measured: MeasuredMask; truth: number }[] = [];

  /** @param truth number that `compare` names it by @returns the area of the mask */
  add(mask: Mask, truth: number): number {
    const measured = measureMask(mask);
    this.#truths.push({ measured, truth });
    return measured.area;
  }

  compare(mask: Mask): ComparedMask {
    const measured = measureMask(mask);
    const found = this.#truths
      .map((other) => ({ truth: other.truth, shared: sharedPixels(measured, other.measured) }))
      .filter(({ shared }) => shared > 0);
    return {
      area: measured.area,
      truths: found.map(({ truth }) => truth),
      shared: found.map(({ shared }) => shared),
    };
  }
}

/**
 * Compares the masks of an image, if it has any.
 * @returns null if neither ground truth nor detections have masks
 * @throws EvaluationError if only some objects have one, or if they are not of one size
 */
export function compareMasks({ id, gt, detections }: Omit<EvaluatedImage, "compared">): ComparedMasks | null {
  if (gt.masks === undefined && detections.masks === undefined) return null;
  const truthMasks = masksOf(gt, "gt.masks", id);
  const found = masksOf(detections, "detections.masks", id);
  checkSizes([...truthMasks, ...found], id);
  const truths = new TruthMasks();
  return {
    truthAreas: truthMasks.map((mask, i) => truths.add(mask, i)),
    detections: found.map((mask) => truths.compare(mask)),
  };
}

/** The masks of a list of objects; those of no objects may be left out. */
function masksOf(
  { labels, masks = [] }: { labels: IntegerList; masks?: readonly Mask[] },
  name: string,
  id: number | string,
): readonly Mask[] {
  if (masks.length === labels.length) return masks;
  throw new EvaluationError(
    "ERR_EVAL_ARGUMENT",
    `Expected ${labels.length} entries for ${name} of image ${id} but received ${masks.length}`,
  );
}

function checkSizes(masks: readonly Mask[], id: number | string): void {
  const [first] = masks;
  const other = masks.find(({ height, width }) => height !== first.height || width !== first.width);
  if (other === undefined) return;
  throw new EvaluationError(
    "ERR_EVAL_ARGUMENT",
    `Expected masks of one size in image ${id} but received ${first.width} × ${first.height} and ${other.width} × ${other.height}`,
  );
}
