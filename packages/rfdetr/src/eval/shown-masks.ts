// Masks of an evaluation that are kept for its pictures.
import { type CocoRuns, toCocoRuns } from "../masks/coco-runs.js";
import type { Mask } from "../masks/mask.js";
import { resizeMask } from "../masks/segments.js";
import type { IntegerList } from "./coco/box-table.js";
import type { ImageDetections, ShownMasks } from "./coco/evaluated-image.js";

/** Longest side of a mask in pixels: that of its image on a sheet. */
const side = 480;
/** Detections whose masks are kept: the best of those with this score. */
const [most, leastScore] = [20, 0.05];

/** The masks of an image for its picture, some kilobytes in all. */
export function shownMasks(
  truths: { labels: IntegerList; masks: readonly Mask[] },
  { labels, scores, masks }: Pick<ImageDetections, "labels" | "scores"> & { masks: readonly Mask[] },
): ShownMasks {
  const best = [...scores.keys()].sort((a, b) => scores[b] - scores[a]).slice(0, most);
  const kept = new Set(best.filter((i) => scores[i] >= leastScore));
  return {
    truths: Array.from(truths.labels, (label, i) => ({ label, mask: coarse(truths.masks[i]) })),
    detections: Array.from(labels, (label, i) => (kept.has(i) ? { label, mask: coarse(masks[i]) } : { label })),
  };
}

function coarse(mask: Mask): CocoRuns {
  const factor = Math.min(1, side / Math.max(mask.height, mask.width));
  const [height, width] = [mask.height, mask.width].map((length) => Math.max(1, Math.round(length * factor)));
  return toCocoRuns(resizeMask(mask, height, width));
}
