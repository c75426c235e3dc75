// The masks of an image as its figures need them: areas, and overlaps of detections with the ground truth.
import type { Mask } from "../../masks/mask.js";
import { type MeasuredMask, maskIou, measureMask } from "../../masks/overlap.js";
import { EvaluationError } from "../../support/errors.js";
import type { IntegerList } from "./box-table.js";
import type { ComparedMask, ComparedMasks, EvaluatedImage } from "./evaluated-image.js";

/** The masks of ground truth of one class and image. */
export class TruthMasks {
  readonly #truths: { measured: MeasuredMask; crowd: boolean }[] = [];

  /** @returns the area of the mask */
  add(mask: Mask, crowd: boolean): number {
    const measured = measureMask(mask);
    this.#truths.push({ measured, crowd });
    return measured.area;
  }

  compare(mask: Mask): ComparedMask {
    const measured = measureMask(mask);
    return {
      area: measured.area,
      overlaps: this.#truths.map((truth) => maskIou(measured, truth.measured, truth.crowd)),
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
  const none = new TruthMasks();
  const classes = new Map<number, TruthMasks>();
  const truthAreas = truthMasks.map((mask, i) => {
    const label = gt.labels[i];
    const own = classes.get(label) ?? new TruthMasks();
    classes.set(label, own);
    return own.add(mask, Boolean(gt.crowd?.[i]));
  });
  return {
    truthAreas,
    detections: found.map((mask, i) => (classes.get(detections.labels[i]) ?? none).compare(mask)),
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
