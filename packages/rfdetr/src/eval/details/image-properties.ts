// Properties of images that AP may depend on, and images grouped by them.
import { boxIou } from "../box-iou.js";
import type { CocoEvaluator } from "../coco/coco.js";
import type { IouType } from "../coco/overlaps.js";
import { countingSort, identityOrder } from "../coco/stable-order.js";
import type { ImageProperty, PropertyDetails } from "./evaluation-details.js";
import { groupScorer } from "./group-figures.js";

/** With fewer images in a split, groups are too small for their AP to say anything. */
const FEWEST_IMAGES = 15;
const MOST_GROUPS = 3;

/**
 * Values of every property for every image, in the order of addition; null where one is not known.
 *
 * `crowding` is the mean over an image's objects of the largest IoU with another object, whatever its class; 0 for
 * fewer than two objects. It is of boxes also where there are masks. Crowd regions are no objects here.
 * @internal
 */
export function imageProperties(evaluator: CocoEvaluator): Record<ImageProperty, (number | null)[]> {
  const values: Record<ImageProperty, (number | null)[]> = {
    image_size: [],
    aspect: [],
    objects: [],
    crowding: [],
    brightness: [],
  };
  const { truths } = evaluator.ordered();
  const rows = identityOrder(truths.length).filter((row) => truths.crowd[row] === 0);
  const order = countingSort(truths.image, evaluator.images, rows);
  for (let image = 0, g = 0; image < evaluator.images; image++) {
    const start = g;
    while (g < order.length && truths.image[order[g]] === image) g++;
    const { width, height, brightness } = evaluator.image(image);
    const sized = width !== undefined && height !== undefined;
    values.image_size.push(sized ? Math.sqrt(width * height) : null);
    values.aspect.push(sized ? Math.max(width / height, height / width) : null);
    values.objects.push(g - start);
    values.crowding.push(crowdingOf(truths.box, order.subarray(start, g)));
    values.brightness.push(brightness ?? null);
  }
  return values;
}

function crowdingOf(boxes: Float64Array, rows: Int32Array): number {
  const largest = new Float64Array(rows.length);
  for (let i = 0; i < rows.length; i++)
    for (let j = 0; j < i; j++) {
      const iou = boxIou(boxes, rows[i] * 4, boxes, rows[j] * 4);
      largest[i] = Math.max(largest[i], iou);
      largest[j] = Math.max(largest[j], iou);
    }
  return rows.length === 0 ? 0 : largest.reduce((sum, iou) => sum + iou, 0) / rows.length;
}

/**
 * AP by the properties of the images: a property that is not known of all images, or the same for all, is left out, and
 * all are where there are few images.
 */
export function figuresByProperty(evaluator: CocoEvaluator, iouType: IouType = "boxes"): PropertyDetails[] {
  if (evaluator.images < FEWEST_IMAGES) return [];
  const score = groupScorer(evaluator, iouType);
  return Object.entries(imageProperties(evaluator)).flatMap(([property, values]) => {
    const known = values.filter((value) => value !== null);
    const groups = known.length < values.length ? [] : groupsOf(known);
    if (groups.length < 2) return [];
    return {
      property: property as ImageProperty,
      groups: groups.map(({ from, to, images }) => {
        const { instances, AP, AP50 } = score((image) => known[image] >= from && known[image] <= to);
        return { from: rounded(from), to: rounded(to), images, instances, AP, AP50 };
      }),
    };
  });
}

/**
 * Divides values into at most three groups, the lowest first. A group ends where the value changes and it has a third
 * of all; where that leaves one group of different values, the highest value makes the second.
 * @internal
 */
export function groupsOf(values: readonly number[]): { from: number; to: number; images: number }[] {
  const sorted = [...values].sort((a, b) => a - b);
  const starts = [0];
  for (let i = 1; i < sorted.length; i++) {
    const enough = i - starts[starts.length - 1] >= sorted.length / MOST_GROUPS;
    if (sorted[i] !== sorted[i - 1] && enough && starts.length < MOST_GROUPS) starts.push(i);
  }
  const last = sorted.indexOf(sorted[sorted.length - 1]);
  if (starts.length === 1 && last > 0) starts.push(last);
  return starts.map((start, i) => {
    const end = starts[i + 1] ?? sorted.length;
    return { from: sorted[start], to: sorted[end - 1], images: end - start };
  });
}

const rounded = (value: number): number => Math.round(value * 1e4) / 1e4;
