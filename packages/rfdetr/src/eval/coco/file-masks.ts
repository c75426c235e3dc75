// The masks of COCO annotation and results files.
import type { Entry } from "../../data/formats/entries.js";
import { readSegmentation, Segmentation } from "../../data/formats/segmentation.js";
import { fromCocoRuns } from "../../masks/coco-runs.js";
import { type Mask, maskBox } from "../../masks/mask.js";
import { outlineMask } from "../../masks/outline.js";
import { TruthMasks } from "./compare-masks.js";
import type { ComparedMask, ImageFacts } from "./evaluated-image.js";
import { kind, type Source } from "./file-entries.js";

/** What is kept of an outline while a file is read: polygons take little memory so. */
export const compactOutline = (segmentation: unknown): unknown =>
  Array.isArray(segmentation) && segmentation.length > 0 ? readSegmentation(segmentation) : segmentation;

/** Whether a results file has masks. @throws EvaluationError if only some of the results do */
export function haveMasks(results: readonly Entry[], source: Source): boolean {
  const without = results.findIndex(({ segmentation }) => segmentation === undefined || segmentation === null);
  if (without < 0) return results.length > 0;
  if (results.every(({ segmentation }) => segmentation === undefined || segmentation === null)) return false;
  throw source.fail(
    `Expected a segmentation for result ${without} in ${source.path}, as others have one, but it has none`,
  );
}

/** Compares the masks of a results file with those of an annotation file, whose entries are added first. */
export class FileMasks {
  readonly #images: { facts: ImageFacts; truths: TruthMasks }[] = [];
  #truths = 0;

  constructor(
    readonly annotations: Source,
    readonly results: Source,
  ) {}

  addImage(facts: ImageFacts): void {
    this.#images.push({ facts, truths: new TruthMasks() });
  }

  /**
   * Adds the mask of the next ground truth: those of all images are numbered in the order of addition.
   * @returns the area of the mask
   */
  addTruth({ segmentation }: Entry, image: number, where: string): number {
    return this.#images[image].truths.add(this.#truthMask(segmentation, image, where), this.#truths++);
  }

  /** @returns the mask compared, and the box around it as x, y, width, height */
  compare({ segmentation }: Entry, image: number, where: string): { mask: ComparedMask; box: number[] } {
    const mask = this.#runs(segmentation, this.results, image, where);
    const [left, top, right, bottom] = maskBox(mask) ?? [0, 0, 0, 0];
    return { mask: this.#images[image].truths.compare(mask), box: [left, top, right - left, bottom - top] };
  }

  #truthMask(segmentation: unknown, image: number, where: string): Mask {
    const { path } = this.annotations;
    const none = segmentation === undefined || segmentation === null;
    if (none || (Array.isArray(segmentation) && segmentation.length === 0))
      throw this.annotations.fail(
        `Expected a segmentation for ${where} in ${path}, since the results have masks, but it has none`,
      );
    if (!Array.isArray(segmentation) && !(segmentation instanceof Segmentation))
      return this.#runs(segmentation, this.annotations, image, where);
    const { outline, fault } = readSegmentation(segmentation);
    if (fault !== null)
      throw this.annotations.fail(`Expected polygons for the segmentation of ${where} in ${path}: ${fault}`);
    const [height, width] = this.#sizeOf(image, where);
    return outlineMask(outline ?? { polygons: [] }, height, width);
  }

  /** A mask that is stated as runs. */
  #runs(segmentation: unknown, source: Source, image: number, where: string): Mask {
    const mask = fromCocoRuns(segmentation);
    if (mask === null)
      throw source.fail(
        `Expected {"size": [height, width], "counts"} that fill the image for the segmentation of ${where} in ${source.path} but received ${kind(segmentation)}`,
      );
    const [height, width] = this.#sizeOf(image, where);
    if (mask.height !== height || mask.width !== width)
      throw source.fail(
        `Expected a mask of ${width} × ${height}, the size of the image, for ${where} in ${source.path} but received ${mask.width} × ${mask.height}`,
      );
    return mask;
  }

  #sizeOf(image: number, where: string): readonly [height: number, width: number] {
    const { height, width } = this.#images[image].facts;
    if (Number.isInteger(height) && Number.isInteger(width)) return [height as number, width as number];
    throw this.annotations.fail(
      `Expected width and height in pixels for the image of ${where} in ${this.annotations.path}, since the results have masks, but it has none`,
    );
  }
}
