// From the classes that weights know to those of the data that they are scored on, by name.

/** Detections of one image: `[n × 4]`, `[n]` and `[n]`. */
export interface Scored {
  boxes: Float32Array;
  scores: Float32Array;
  labels: Int32Array;
}

/**
 * The data's class of each class of the weights, −1 where the data does not have it. Null where the data has a class that the weights do not
 * know, or a name stands for two classes.
 */
export function classMap(known: readonly string[], wanted: readonly string[]): Int32Array | null {
  const places = new Map(wanted.map((name, i) => [name, i]));
  const map = Int32Array.from(known, (name) => places.get(name) ?? -1);
  const met = [...map].filter((place) => place >= 0);
  return places.size === wanted.length && met.length === wanted.length && new Set(met).size === wanted.length ? map : null;
}

/** The detections under the data's labels; those of classes that the data does not have are left out, as COCO's own scoring does with unknown ids. */
export function relabel({ boxes, scores, labels }: Scored, map: Int32Array): Scored {
  const kept = Array.from(labels.keys()).filter((i) => (map[labels[i]] ?? -1) >= 0);
  return {
    boxes: Float32Array.from(kept.flatMap((i) => [...boxes.subarray(i * 4, i * 4 + 4)])),
    scores: Float32Array.from(kept, (i) => scores[i]),
    labels: Int32Array.from(kept, (i) => map[labels[i]]),
  };
}
