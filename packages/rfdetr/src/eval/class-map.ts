// Maps the classes of weights to the classes of the data that they are scored on, by name.
import type { ScoredBoxes } from "../model/images/postprocess.js";

/**
 * The class index in the data of each class of the weights, or −1 where the data lacks that class.
 * @returns null if the data has a class that the weights do not know, or if two classes have the same name
 */
export function classMap(known: readonly string[], wanted: readonly string[]): Int32Array | null {
  const places = new Map(wanted.map((name, i) => [name, i]));
  const map = Int32Array.from(known, (name) => places.get(name) ?? -1);
  const met = [...map].filter((place) => place >= 0);
  return places.size === wanted.length && met.length === wanted.length && new Set(met).size === wanted.length
    ? map
    : null;
}

/**
 * Detections with the class indices of the data. Detections of classes that the data lacks are left out, as COCO's own
 * scoring leaves out unknown ids.
 * @param map see {@link classMap}
 */
export function relabel({ boxes, scores, labels, masks }: ScoredBoxes, map: Int32Array): ScoredBoxes {
  const kept = Array.from(labels.keys()).filter((i) => (map[labels[i]] ?? -1) >= 0);
  return {
    boxes: Float32Array.from(kept.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(kept, (i) => scores[i]),
    labels: Int32Array.from(kept, (i) => map[labels[i]]),
    ...(masks === undefined ? {} : { masks: kept.map((i) => masks[i]) }),
  };
}
