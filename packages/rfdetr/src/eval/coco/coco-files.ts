// COCO annotation and results files, checked entry by entry and scored.

import { isCrowd, readCocoJson, readJsonList } from "../../data/formats/coco-json.js";
import { type Entry, isEntry, readId } from "../../data/formats/entries.js";
import { outlineBox } from "../../data/formats/outline-box.js";
import { EvaluationError } from "../../support/errors.js";
import type { Fail } from "../../support/files/text-file.js";
import { anyList, checkArgument, checkOptions, filePath, type OptionKinds } from "../../support/options.js";
import { shown } from "../../support/shown.js";
import { CocoEvaluator, type CocoSummary } from "./coco.js";
import type { ImageFacts } from "./evaluated-image.js";

/** Options of {@link evaluateFiles}. */
export interface FileEvaluationOptions {
  /** See {@link CocoEvaluator}. */
  maxDets?: readonly number[];
}

/**
 * Scores a COCO results file against a COCO annotation file; no model takes part.
 *
 * The annotation file is `{"images": [{"id"}], "categories": [{"id", "name"}], "annotations": [{"image_id",
 * "category_id", "bbox": [x, y, width, height], "area"?, "iscrowd"?}]}`; the results file is `[{"image_id",
 * "category_id", "bbox", "score"}]`. Classes come in ascending order of category ids. pycocotools ignores an unknown
 * category silently and fails on a missing key; here the entry is named. A missing area is width · height, a missing
 * iscrowd is 0.
 *
 * @throws EvaluationError naming the file and the entry at fault.
 * @example
 * import { evaluateFiles } from "rfdetr";
 * const { AP, AP50 } = evaluateFiles("valid/_annotations.coco.json", "results.json");
 */
export function evaluateFiles(
  annotationsPath: string,
  resultsPath: string,
  options: FileEvaluationOptions = {},
): CocoSummary {
  const evaluator = loadFiles(annotationsPath, resultsPath, options);
  return evaluator.summarize();
}

/**
 * Reads both files into an evaluator, for figures beyond the summary (F1 sweep, confusion matrix, curves).
 * @throws EvaluationError as {@link evaluateFiles} does
 */
export function loadFiles(
  annotationsPath: string,
  resultsPath: string,
  options: FileEvaluationOptions = {},
): CocoEvaluator {
  checkOptions("evaluateFiles", options, { maxDets: anyList } satisfies OptionKinds<FileEvaluationOptions>);
  checkArgument("annotationsPath", annotationsPath, filePath);
  checkArgument("resultsPath", resultsPath, filePath);
  const { maxDets } = options;
  const annotations = annotationSource(annotationsPath);
  const document = readCocoJson(annotationsPath, { fail: unreadable });
  const [problem] = document.problems;
  if (problem !== undefined) throw annotations.fail(problem);
  const images = annotations.list(document.images, "images");
  const categories = annotations.list(document.categories, "categories");
  const entries = annotations.list(document.annotations, "annotations");

  const sorted = categories.map((category, i) => ({
    id: annotations.integer(category.id, `id of category ${i}`),
    name: typeof category.name === "string" ? category.name : String(category.id),
  }));
  sorted.sort((a, b) => a.id - b.id);
  const labels = new Map(sorted.map(({ id }, label) => [id, label]));
  if (labels.size < sorted.length)
    throw annotations.fail(`Expected different category ids in ${annotationsPath} but some occur twice`);

  const evaluator = new CocoEvaluator({
    classNames: sorted.map(({ name }) => name),
    categoryIds: sorted.map(({ id }) => id),
    maxDets,
  });
  const known = new Map<number | string, number>();
  images.forEach((image, i) => {
    const id = readId(image.id);
    if (id === null)
      throw annotations.fail(`Expected an id for image ${i} in ${annotationsPath} but received ${kind(image.id)}`);
    if (known.has(id))
      throw annotations.fail(`Expected different image ids in ${annotationsPath} but ${id} occurs twice`);
    known.set(id, evaluator.addImageId(id, factsOf(image)));
  });

  entries.forEach((entry, i) => {
    const where = `annotation ${readId(entry.id) ?? `at index ${i}`}`;
    const image = annotations.lookUp(known, entry.image_id, "image", where);
    const label = annotations.lookUp(labels, entry.category_id, "category", where);
    const box = annotations.box(boxOf(entry), where);
    const area = entry.area == null ? box[2] * box[3] : annotations.area(entry.area, where);
    evaluator.addTruth({ image, label, box, area, crowd: annotations.crowd(entry.iscrowd, where) });
  });

  const source = resultSource(resultsPath);
  source.list(readJsonList(resultsPath, { fail: unreadable }), "the results").forEach((result, i) => {
    const where = `result ${i}`;
    const image = source.lookUp(known, result.image_id, "image", where);
    const label = source.lookUp(labels, result.category_id, "category", where);
    const box = source.box(result.bbox, where);
    evaluator.addDetection({ image, label, box, score: source.number(result.score, `score of ${where}`) });
  });
  return evaluator;
}

const annotationSource = (path: string) =>
  new Source(path, "ERR_EVAL_ANNOTATIONS", (thing) => `add the ${thing} to the file or remove the annotation`);
const resultSource = (path: string) =>
  new Source(
    path,
    "ERR_EVAL_RESULTS",
    (thing) => `the results must be predictions for the same ${thing}s as the annotation file`,
  );

/** Checks of fields whose errors name the file. */
class Source {
  constructor(
    readonly path: string,
    readonly code: "ERR_EVAL_ANNOTATIONS" | "ERR_EVAL_RESULTS",
    readonly remedy: (thing: string) => string,
  ) {}

  fail(message: string): EvaluationError {
    return new EvaluationError(this.code, message);
  }

  list(entries: unknown[], name: string): Entry[] {
    const wrong = entries.findIndex((entry) => !isEntry(entry));
    if (wrong >= 0)
      throw this.fail(
        `Expected an object for entry ${wrong} of ${name} in ${this.path} but received ${kind(entries[wrong])}`,
      );
    return entries as Entry[];
  }

  number(value: unknown, what: string): number {
    if (typeof value === "number" && Number.isFinite(value)) return value;
    throw this.fail(`Expected a finite number for the ${what} in ${this.path} but received ${kind(value)}`);
  }

  area(value: unknown, where: string): number {
    if (typeof value === "number" && value >= 0 && Number.isFinite(value)) return value;
    throw this.fail(
      `Expected a number from 0 for the area of ${where} in ${this.path} but received ${kind(value)}: correct it, or leave it out to take the area of the box`,
    );
  }

  crowd(value: unknown, where: string): boolean {
    const crowd = isCrowd(value);
    if (crowd !== undefined) return crowd;
    throw this.fail(`Expected 0 or 1 for the iscrowd of ${where} in ${this.path} but received ${kind(value)}`);
  }

  integer(value: unknown, what: string): number {
    const id = readId(value);
    if (typeof id === "number" && Number.isInteger(id)) return id;
    throw this.fail(`Expected an integer for the ${what} in ${this.path} but received ${kind(value)}`);
  }

  box(value: unknown, where: string): number[] {
    if (
      Array.isArray(value) &&
      value.length === 4 &&
      value.every((part) => typeof part === "number" && Number.isFinite(part))
    )
      return value;
    throw this.fail(
      `Expected four finite numbers [x, y, width, height] for the bbox of ${where} in ${this.path} but received ${kind(value)}`,
    );
  }

  lookUp(known: ReadonlyMap<number | string, number>, id: unknown, thing: "image" | "category", where: string): number {
    const found = known.get(readId(id) ?? "");
    if (found !== undefined) return found;
    const plural = thing === "image" ? "images" : "categories";
    throw this.fail(
      `Expected a known ${thing}_id for ${where} in ${this.path} but received ${kind(id)}, which is not among the ${known.size} ${plural} of the annotation file; ${this.remedy(thing)}`,
    );
  }
}

/** What an entry says of its image; nothing of this is needed. */
function factsOf({ file_name: file, width, height }: Entry): ImageFacts {
  const pixels = (value: unknown): number | undefined => (typeof value === "number" && value > 0 ? value : undefined);
  return { file: typeof file === "string" ? file : undefined, width: pixels(width), height: pixels(height) };
}

const unreadable: Fail = (message, cause) => new EvaluationError("ERR_EVAL_FILE", message, { cause });

/** The box of an annotation, or the one around its outline where it has none. */
function boxOf({ bbox, segmentation }: Entry): unknown {
  const none = bbox === undefined || bbox === null || (Array.isArray(bbox) && bbox.length === 0);
  return (none ? outlineBox(segmentation) : null) ?? bbox;
}

function kind(value: unknown): string {
  return typeof value === "number" ? String(value) : shown(value, 60);
}
