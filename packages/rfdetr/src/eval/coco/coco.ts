import { EvaluationError } from "../../support/errors.js";
// The evaluator: collects ground truth and detections, and scores them as COCO does.
import { BoxTable, checkBox, checkLength, type IntegerList, type NumberList } from "./box-table.js";
import { Accumulation } from "./coco-accumulate.js";
import { ClassMatches, ImageMatcher } from "./coco-matching.js";
import { MAX_DETECTIONS } from "./coco-parameters.js";
import { type CocoSummary, summarizeCurves } from "./coco-summary.js";
import { countingSort, identityOrder, sortDescending } from "./stable-order.js";

export type { ClassSummary, CocoSummary } from "./coco-summary.js";

/** Ground truth of one image. */
export interface GroundTruth {
  /** `[n * 4]` x1, y1, x2, y2 in pixels. */
  boxes: NumberList;
  /** `[n]` class indices, 0 … classes − 1. */
  labels: IntegerList;
  /**
   * `[n]` areas in square pixels, which choose the area range; default width · height. COCO gives the area of the
   * mask here.
   */
  area?: NumberList;
  /** `[n]` 1 for a crowd region: it is never missed, and detections inside it are not counted. */
  crowd?: IntegerList;
}

/** Detections of one image, in any order; of equal scores the earlier counts as better. */
export interface ImageDetections {
  /** `[n * 4]` x1, y1, x2, y2 in pixels. */
  boxes: NumberList;
  /** `[n]`, larger is better. */
  scores: NumberList;
  /** `[n]` class indices; a detection whose class is not among the evaluated ones (a background slot) is left out. */
  labels: IntegerList;
}

/** What is known of an image beside its objects. Figures do not depend on it. */
export interface ImageFacts {
  /** Path of the file. */
  file?: string;
  /** The dataset that it is of, where several were evaluated together. */
  dataset?: string;
  /** In pixels, as the boxes. */
  width?: number;
  height?: number;
  /** Mean brightness, 0 (black) to 1 (white). */
  brightness?: number;
}

/** One image for the evaluator. */
export interface EvaluatedImage extends ImageFacts {
  id: number | string;
  gt: GroundTruth;
  detections: ImageDetections;
}

/** What an evaluator is made with. */
export interface CocoEvaluatorOptions {
  classNames: readonly string[];
  /** Category id of each class for the report; default 0, 1, 2, … */
  categoryIds?: readonly number[];
  /** Detections kept per image and class; one average recall is reported for each. Default 1, 10, 100. */
  maxDets?: readonly number[];
}

/** The rows of an evaluation ordered by class, then by image id; the detections of an image come best first. */
export interface OrderedTables {
  truths: BoxTable;
  truthOrder: Int32Array;
  detections: BoxTable;
  detectionOrder: Int32Array;
  /** Place of each image (by order of addition) in ascending order of ids. */
  imageRank: Int32Array;
}

/** Curves of every class, with the images and instances of its ground truth (crowds not counted). */
export interface Evaluation {
  curves: Accumulation;
  /** `[classes]` */
  images: Int32Array;
  /** `[classes]` */
  instances: Int32Array;
}

/**
 * COCO mean average precision of boxes (Lin et al. 2014). Crowd regions, ignored areas, ties, 101 recall points and
 * limits on detections are those of pycocotools 2.0, and its figures are met to within 1e-12. One difference:
 * pycocotools takes AP at maxDets 100 whatever the list says, and prints −1 if 100 is not in it. Here all figures are
 * taken at the largest entry, as the Python package does with 500.
 * @example
 * import { CocoEvaluator } from "rfdetr";
 * const evaluator = new CocoEvaluator({ classNames: ["bird"] });
 * evaluator.addImage({
 *   id: 1,
 *   gt: { boxes: [10, 10, 60, 40], labels: [0] },
 *   detections: { boxes: [12, 9, 61, 42], scores: [0.9], labels: [0] },
 * });
 * console.log(evaluator.summarize().AP);
 */
export class CocoEvaluator {
  readonly classNames: readonly string[];
  readonly categoryIds: readonly number[];
  readonly maxDets: readonly number[];
  /** Detections that were left out because a coordinate or the score was NaN or infinite. The caller counts them. */
  nonFinite = 0;
  readonly #truths = new BoxTable();
  readonly #detections = new BoxTable();
  readonly #ids: (number | string)[] = [];
  readonly #facts: ImageFacts[] = [];
  readonly #known = new Set<number | string>();
  #tables: OrderedTables | undefined;
  #evaluation: Evaluation | undefined;

  constructor({ classNames, categoryIds, maxDets = MAX_DETECTIONS }: CocoEvaluatorOptions) {
    this.classNames = classNames;
    this.categoryIds = categoryIds ?? classNames.map((_, label) => label);
    if (this.categoryIds.length !== classNames.length) {
      throw argument(
        `Expected ${classNames.length} categoryIds, one for each class name, but received ${this.categoryIds.length}`,
      );
    }
    this.maxDets = [...maxDets].sort((a, b) => a - b);
    if (maxDets.length === 0 || !this.maxDets.every((limit) => Number.isInteger(limit) && limit > 0)) {
      throw argument(`Expected positive integers for maxDets but received [${maxDets.join(", ")}]`);
    }
  }

  /** Number of images added. */
  get images(): number {
    return this.#ids.length;
  }

  /**
   * Adds one image with its ground truth and detections; both may be empty. The arrays are copied.
   * @throws EvaluationError `ERR_EVAL_ARGUMENT` for arrays that do not fit together, values that are not finite,
   * unknown labels of ground truth, or an image that was added before
   */
  addImage({ id, gt, detections, ...facts }: EvaluatedImage): void {
    const image = this.addImageId(id, facts);
    checkLength(gt.boxes, gt.labels.length * 4, "gt.boxes", id);
    checkLength(gt.area, gt.labels.length, "gt.area", id);
    checkLength(gt.crowd, gt.labels.length, "gt.crowd", id);
    checkLength(detections.boxes, detections.labels.length * 4, "detections.boxes", id);
    checkLength(detections.scores, detections.labels.length, "detections.scores", id);
    for (let i = 0; i < gt.labels.length; i++) {
      const label = gt.labels[i];
      if (!(label >= 0 && label < this.classNames.length)) {
        throw argument(
          `Expected ground-truth labels from 0 to ${this.classNames.length - 1} but received ${label} in image ${id}`,
        );
      }
      checkBox(gt.boxes, i, "ground truth", id);
      const x = gt.boxes[i * 4];
      const y = gt.boxes[i * 4 + 1];
      const width = gt.boxes[i * 4 + 2] - x;
      const height = gt.boxes[i * 4 + 3] - y;
      this.addTruth(image, label, x, y, width, height, gt.area?.[i] ?? width * height, gt.crowd?.[i] ? 1 : 0);
    }
    for (let i = 0; i < detections.labels.length; i++) {
      checkBox(detections.boxes, i, "detection", id);
      if (!Number.isFinite(detections.scores[i])) {
        throw argument(
          `Expected a finite score for detection ${i} of image ${id} but received ${detections.scores[i]}`,
        );
      }
      const x = detections.boxes[i * 4];
      const y = detections.boxes[i * 4 + 1];
      this.addDetection(
        image,
        detections.labels[i],
        x,
        y,
        detections.boxes[i * 4 + 2] - x,
        detections.boxes[i * 4 + 3] - y,
        detections.scores[i],
      );
    }
  }

  /** Registers an image and returns its index, for {@link addTruth} and {@link addDetection}. */
  addImageId(id: number | string, facts: ImageFacts = {}): number {
    if (this.#known.has(id)) throw argument(`Expected every image once but image ${id} was added twice`);
    this.#known.add(id);
    this.#changed();
    this.#facts.push(facts);
    return this.#ids.push(id) - 1;
  }

  /** What is known of the image at an index, in the order of addition. */
  image(index: number): ImageFacts & { id: number | string } {
    return { ...this.#facts[index], id: this.#ids[index] };
  }

  /** Adds one checked ground truth as x, y, width, height. */
  addTruth(
    image: number,
    label: number,
    x: number,
    y: number,
    width: number,
    height: number,
    area: number,
    crowd: number,
  ): void {
    this.#changed();
    this.#truths.push(image, label, x, y, width, height, area, 0, crowd);
  }

  /** Adds one checked detection as x, y, width, height; its area is width · height. */
  addDetection(image: number, label: number, x: number, y: number, width: number, height: number, score: number): void {
    if (label < 0 || label >= this.classNames.length) return;
    this.#changed();
    this.#detections.push(image, label, x, y, width, height, width * height, score, 0);
  }

  #changed(): void {
    this.#tables = undefined;
    this.#evaluation = undefined;
  }

  /** The tables with the order that matching walks them in; kept until something is added, and not to be changed. */
  ordered(): OrderedTables {
    this.#tables ??= this.#ordered();
    return this.#tables;
  }

  #ordered(): OrderedTables {
    const imageRank = rankImages(this.#ids);
    const K = this.classNames.length;
    return {
      truths: this.#truths,
      truthOrder: byClassAndImage(this.#truths, imageRank, K),
      detections: this.#detections,
      detectionOrder: bestFirst(this.#detections, byClassAndImage(this.#detections, imageRank, K)),
      imageRank,
    };
  }

  /** Precision and recall curves of every class; kept until something is added. */
  evaluate(): Evaluation {
    this.#evaluation ??= this.#evaluate();
    return this.#evaluation;
  }

  #evaluate(): Evaluation {
    const tables = this.ordered();
    const K = this.classNames.length;
    const curves = new Accumulation(K, this.maxDets);
    const images = new Int32Array(K);
    const instances = new Int32Array(K);
    const matcher = new ImageMatcher();
    const matches = new ClassMatches();
    const limit = this.maxDets[this.maxDets.length - 1];
    forEachClass(tables, K, (label, gStart, gEnd, dStart, dEnd) => {
      matches.reset(dEnd - dStart);
      forEachImage(tables, gStart, gEnd, dStart, dEnd, (g0, g1, d0, d1) => {
        const kept = Math.min(d1, d0 + limit);
        matcher.match(
          tables.truths,
          tables.truthOrder,
          g0,
          g1,
          tables.detections,
          tables.detectionOrder,
          d0,
          kept,
          matches,
        );
      });
      for (let g = gStart; g < gEnd; g++) if (tables.truths.crowd[tables.truthOrder[g]] === 0) instances[label]++;
      images[label] = matches.images;
      curves.add(label, matches);
    });
    return { curves, images, instances };
  }

  /** The twelve stock figures, and those of each class. May be called again after more images. */
  summarize(): CocoSummary {
    const { curves, images, instances } = this.evaluate();
    const classes = this.classNames.map((name, label) => ({
      id: this.categoryIds[label],
      name,
      images: images[label],
      instances: instances[label],
    }));
    return summarizeCurves(curves, classes, this.images, this.#detections.length);
  }
}

/** Calls `visit` with the row ranges of every class, empty ones too. */
export function forEachClass(
  { truths, truthOrder, detections, detectionOrder }: OrderedTables,
  classes: number,
  visit: (label: number, gStart: number, gEnd: number, dStart: number, dEnd: number) => void,
): void {
  let g = 0;
  let d = 0;
  for (let label = 0; label < classes; label++) {
    const gStart = g;
    const dStart = d;
    while (g < truthOrder.length && truths.label[truthOrder[g]] === label) g++;
    while (d < detectionOrder.length && detections.label[detectionOrder[d]] === label) d++;
    visit(label, gStart, g, dStart, d);
  }
}

/** Calls `visit` with the row ranges of every image that has something of the class, in the order of image ids. */
export function forEachImage(
  { truths, truthOrder, detections, detectionOrder, imageRank }: OrderedTables,
  gStart: number,
  gEnd: number,
  dStart: number,
  dEnd: number,
  visit: (gStart: number, gEnd: number, dStart: number, dEnd: number) => void,
): void {
  let g = gStart;
  let d = dStart;
  while (g < gEnd || d < dEnd) {
    const truthRank = g < gEnd ? imageRank[truths.image[truthOrder[g]]] : Number.POSITIVE_INFINITY;
    const detectionRank = d < dEnd ? imageRank[detections.image[detectionOrder[d]]] : Number.POSITIVE_INFINITY;
    const rank = Math.min(truthRank, detectionRank);
    const g0 = g;
    const d0 = d;
    while (g < gEnd && imageRank[truths.image[truthOrder[g]]] === rank) g++;
    while (d < dEnd && imageRank[detections.image[detectionOrder[d]]] === rank) d++;
    visit(g0, g, d0, d);
  }
}

function rankImages(ids: readonly (number | string)[]): Int32Array {
  const compare = (a: number | string, b: number | string) => {
    if (typeof a === typeof b) return a < b ? -1 : a > b ? 1 : 0;
    return typeof a === "number" ? -1 : 1;
  };
  const sorted = Array.from(identityOrder(ids.length)).sort((a, b) => compare(ids[a], ids[b]));
  const rank = new Int32Array(ids.length);
  sorted.forEach((image, place) => {
    rank[image] = place;
  });
  return rank;
}

function byClassAndImage(table: BoxTable, imageRank: Int32Array, classes: number): Int32Array {
  const ranks = new Int32Array(table.length);
  for (let row = 0; row < table.length; row++) ranks[row] = imageRank[table.image[row]];
  // Least significant key first; both passes are stable.
  const byImage = countingSort(ranks, imageRank.length, identityOrder(table.length));
  return countingSort(table.label, classes, byImage);
}

function bestFirst(table: BoxTable, order: Int32Array): Int32Array {
  const scratch = new Int32Array(order.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (
      end < order.length &&
      table.image[order[end]] === table.image[order[start]] &&
      table.label[order[end]] === table.label[order[start]]
    )
      end++;
    sortDescending(table.score, order, start, end, scratch);
    start = end;
  }
  return order;
}

function argument(message: string): EvaluationError {
  return new EvaluationError("ERR_EVAL_ARGUMENT", message);
}
