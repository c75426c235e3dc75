// The evaluator: collects ground truth and detections, and scores them as COCO does.
import { EvaluationError } from "../../support/errors.js";
import { anyList, checkOptions, classTexts, type OptionKinds } from "../../support/options.js";
import { type BoxRow, BoxTable, checkBox, checkLength } from "./box-table.js";
import { Accumulation } from "./coco-accumulate.js";
import { ClassMatches, ImageMatcher } from "./coco-matching.js";
import { MAX_DETECTIONS } from "./coco-parameters.js";
import { type CocoSummary, figuresOf, summarizeCurves } from "./coco-summary.js";
import { compareMasks } from "./compare-masks.js";
import type { ComparedMask, EvaluatedImage, ImageFacts } from "./evaluated-image.js";
import { MaskTable, type TruthMask } from "./mask-table.js";
import { forEachClass, forEachImage, type OrderedTables, orderTables } from "./ordered-tables.js";
import type { IouType } from "./overlaps.js";

export type { ClassSummary, CocoSummary } from "./coco-summary.js";

/** What an evaluator is made with. */
export interface CocoEvaluatorOptions {
  classNames: readonly string[];
  /** Category id of each class for the report; default 0, 1, 2, … */
  categoryIds?: readonly number[];
  /** Detections kept per image and class; one average recall is reported for each. Default 1, 10, 100. */
  maxDets?: readonly number[];
}

const evaluatorOptions: OptionKinds<CocoEvaluatorOptions> = {
  classNames: classTexts,
  categoryIds: anyList,
  maxDets: anyList,
};

/** Curves of every class, with the images and instances of its ground truth (crowds not counted). */
export interface Evaluation {
  curves: Accumulation;
  /** `[classes]` */
  images: Int32Array;
  /** `[classes]` */
  instances: Int32Array;
}

/**
 * COCO mean average precision of boxes and, where objects have masks, of masks (Lin et al. 2014). Crowd regions,
 * ignored areas, ties, 101 recall points and limits on detections are those of pycocotools 2.0, and its figures are met
 * to within 1e-12. One difference: pycocotools takes AP at maxDets 100 whatever the list says, and prints −1 if 100 is
 * not in it. Here all figures are taken at the largest entry, as the Python package does with 500. The area of a mask
 * that was found is its number of pixels; pycocotools takes the box's where the results have boxes as well.
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
  /** Undefined where the objects have no masks. */
  #masks: MaskTable | undefined;
  #tables: OrderedTables | undefined;
  #evaluations: Partial<Record<IouType, Evaluation>> = {};

  /** @throws UsageError for a wrong option; EvaluationError for lists that do not fit together */
  constructor(options: CocoEvaluatorOptions) {
    checkOptions("CocoEvaluator", options, evaluatorOptions, ["classNames"]);
    const { classNames, categoryIds, maxDets = MAX_DETECTIONS } = options;
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
   * Adds one image with its ground truth and detections; both may be empty. The arrays are copied. Masks are compared
   * at once, and not kept.
   * @throws EvaluationError `ERR_EVAL_ARGUMENT` for arrays that do not fit together, values that are not finite,
   * unknown labels of ground truth, masks that only some objects have, or an image that was added before
   */
  addImage({ id, gt, detections, compared, ...facts }: EvaluatedImage): void {
    const image = this.addImageId(id, facts);
    checkLength(gt.boxes, gt.labels.length * 4, "gt.boxes", id);
    checkLength(gt.area, gt.labels.length, "gt.area", id);
    checkLength(gt.crowd, gt.labels.length, "gt.crowd", id);
    checkLength(detections.boxes, detections.labels.length * 4, "detections.boxes", id);
    checkLength(detections.scores, detections.labels.length, "detections.scores", id);
    const masks = compared ?? compareMasks({ id, gt, detections });
    if (masks !== null) this.#maskTable(true);
    const first = this.#truths.length;
    for (let i = 0; i < gt.labels.length; i++) {
      const label = gt.labels[i];
      if (!(label >= 0 && label < this.classNames.length)) {
        throw argument(
          `Expected ground-truth labels from 0 to ${this.classNames.length - 1} but received ${label} in image ${id}`,
        );
      }
      checkBox(gt.boxes, i, "ground truth", id);
      const box = sizedBox(gt.boxes, i);
      const truth = { image, label, box, area: gt.area?.[i] ?? box[2] * box[3], crowd: Boolean(gt.crowd?.[i]) };
      const pixels = masks?.truthAreas[i];
      this.addTruth(truth, pixels === undefined ? undefined : { area: gt.area?.[i] ?? pixels, pixels });
    }
    for (let i = 0; i < detections.labels.length; i++) {
      checkBox(detections.boxes, i, "detection", id);
      if (!Number.isFinite(detections.scores[i])) {
        throw argument(
          `Expected a finite score for detection ${i} of image ${id} but received ${detections.scores[i]}`,
        );
      }
      const box = sizedBox(detections.boxes, i);
      const label = detections.labels[i];
      const mask = masks?.detections[i];
      this.addDetection(
        { image, label, box, score: detections.scores[i] },
        mask && { ...mask, truths: mask.truths.map((place) => first + place) },
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

  /** Adds one checked ground truth; those of all images are numbered in the order of addition. */
  addTruth(truth: Omit<BoxRow, "score">, mask?: TruthMask): void {
    this.#maskTable(mask !== undefined)?.addTruth(mask as TruthMask);
    this.#changed();
    this.#truths.push(truth);
  }

  /**
   * Adds one checked detection; its area is width · height. One of an unknown class is left out.
   * @param mask compared with all ground truth of the image; `truths` are the numbers of {@link addTruth}
   */
  addDetection(
    { image, label, box, score }: Required<Pick<BoxRow, "image" | "label" | "box" | "score">>,
    mask?: ComparedMask,
  ): void {
    if (label < 0 || label >= this.classNames.length) return;
    this.#maskTable(mask !== undefined)?.addDetection(mask as ComparedMask);
    this.#changed();
    this.#detections.push({ image, label, box, area: box[2] * box[3], score });
  }

  /** The table for a row with or without a mask; all rows are alike. */
  #maskTable(given: boolean): MaskTable | undefined {
    if (given !== (this.#masks !== undefined)) {
      if (!given || this.#truths.length + this.#detections.length > 0)
        throw argument("Expected masks for the objects of every image or of none but only some have them");
      this.#masks = new MaskTable();
    }
    return this.#masks;
  }

  #changed(): void {
    this.#tables = undefined;
    this.#evaluations = {};
  }

  /** Whether the objects have masks. */
  get hasMasks(): boolean {
    return this.#masks !== undefined;
  }

  /**
   * The tables with the order that matching walks them in; kept until something is added, and not to be changed.
   * @throws EvaluationError `ERR_EVAL_ARGUMENT` for masks where the objects have none
   */
  ordered(iouType: IouType = "boxes"): OrderedTables {
    this.#tables ??= orderTables(this.#truths, this.#detections, this.#ids, this.classNames.length);
    if (iouType === "boxes") return this.#tables;
    if (this.#masks === undefined)
      throw argument("Expected objects with masks, to compare them by these, but none has one");
    return { ...this.#tables, overlaps: this.#masks };
  }

  /**
   * Precision and recall curves of every class; kept until something is added.
   * @throws EvaluationError as {@link ordered} does
   */
  evaluate(iouType: IouType = "boxes"): Evaluation {
    this.#evaluations[iouType] ??= this.#evaluate(this.ordered(iouType));
    return this.#evaluations[iouType];
  }

  #evaluate(tables: OrderedTables): Evaluation {
    const matcher = new ImageMatcher();
    const K = this.classNames.length;
    const curves = new Accumulation(K, this.maxDets);
    const images = new Int32Array(K);
    const instances = new Int32Array(K);
    const matches = new ClassMatches();
    const limit = this.maxDets[this.maxDets.length - 1];
    forEachClass(tables, K, (label, rows) => {
      matches.reset(rows.dEnd - rows.dStart);
      forEachImage(tables, rows, (ofImage) => matcher.match(tables, ofImage, limit, matches));
      for (let g = rows.gStart; g < rows.gEnd; g++)
        if (tables.truths.crowd[tables.truthOrder[g]] === 0) instances[label]++;
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
    const summary = summarizeCurves(curves, classes, this.images, this.#detections.length);
    return this.hasMasks ? { ...summary, masks: figuresOf(this.evaluate("masks").curves, classes) } : summary;
  }
}

/** The box at a row of corners `[n × 4]` (left, top, right, bottom) as x, y, width, height. */
function sizedBox(corners: ArrayLike<number>, row: number): number[] {
  const [x, y] = [corners[row * 4], corners[row * 4 + 1]];
  return [x, y, corners[row * 4 + 2] - x, corners[row * 4 + 3] - y];
}

function argument(message: string): EvaluationError {
  return new EvaluationError("ERR_EVAL_ARGUMENT", message);
}
