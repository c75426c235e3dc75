// COCO annotation and results files, checked entry by entry and scored.

import { readCocoJson, readJsonList } from "../../data/formats/coco-json.js";
import { type Entry, readId } from "../../data/formats/entries.js";
import { outlineBox } from "../../data/formats/outline-box.js";
import { EvaluationError } from "../../support/errors.js";
import type { Fail } from "../../support/files/text-file.js";
import { agreeing, counted } from "../../support/format.js";
import { backgroundName } from "../../support/names.js";
import { anyList, callback, checkArgument, checkOptions, filePath, type OptionKinds } from "../../support/options.js";
import { CocoEvaluator, type CocoSummary } from "./coco.js";
import type { ImageFacts } from "./evaluated-image.js";
import { annotationSource, kind, resultSource, type Source } from "./file-entries.js";
import { compactOutline, FileMasks, haveMasks } from "./file-masks.js";
import { knownNames, ResultPlaces } from "./result-names.js";

/** Options of {@link evaluateFiles}. */
export interface FileEvaluationOptions {
  /** See {@link CocoEvaluator}. */
  maxDets?: readonly number[];
  /** Receives a sentence if ids of results are those of another image or class than their names, or of no class. */
  warn?: (message: string) => void;
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
 * A result that has `file_name` and `category_name`, as `rfdetr predict --format coco` writes them, belongs to the
 * image and the class of these names, whatever its ids are. Those of `__background__`, which stands for no class, are
 * passed over.
 *
 * Where the results have a `segmentation`, `{"size": [height, width], "counts"}`, masks are scored too. Then every
 * annotation needs one, as polygons or such runs, and every image its width and height. A result may leave out its
 * `bbox`: it is the one around the mask.
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
  checkOptions("evaluateFiles", options, {
    maxDets: anyList,
    warn: callback,
  } satisfies OptionKinds<FileEvaluationOptions>);
  checkArgument("annotationsPath", annotationsPath, filePath);
  checkArgument("resultsPath", resultsPath, filePath);
  const { maxDets, warn } = options;
  const annotations = annotationSource(annotationsPath);
  const source = resultSource(resultsPath);
  const results = source.list(readJsonList(resultsPath, { fail: unreadable }), "the results");
  const masks = haveMasks(results, source) ? new FileMasks(annotations, source) : null;
  const segmentations = masks === null ? false : compactOutline;
  const document = readCocoJson(annotationsPath, { fail: unreadable, segmentations });
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
    masks?.addImage(factsOf(image));
  });

  const used = new Set<number>();
  entries.forEach((entry, i) => {
    const where = `annotation ${readId(entry.id) ?? `at index ${i}`}`;
    const image = annotations.lookUp(known, entry.image_id, "image", where);
    const label = annotations.lookUp(labels, entry.category_id, "category", where);
    used.add(label);
    const box = annotations.box(boxOf(entry), where);
    const area = entry.area == null ? undefined : annotations.area(entry.area, where);
    const crowd = annotations.crowd(entry.iscrowd, where);
    const pixels = masks?.addTruth(entry, image, where);
    const truth = { image, label, box, area: area ?? box[2] * box[3], crowd };
    evaluator.addTruth(truth, pixels === undefined ? undefined : { area: area ?? pixels, pixels });
  });

  const names = knownNames(images, evaluator.classNames, used);
  const places = new ResultPlaces(source, names, { images: known, labels });
  addResults(evaluator, results, { places, masks, source, annotationsPath, warn });
  return evaluator;
}

/** Adds the results, and says which are passed over or have ids of others. */
function addResults(
  evaluator: CocoEvaluator,
  results: readonly Entry[],
  { places, masks, source, annotationsPath, warn }: Reading,
): void {
  let background = 0;
  results.forEach((result, i) => {
    const where = `result ${i}`;
    const place = places.of(result, where);
    if (place === null) {
      background++;
      return;
    }
    const compared = masks?.compare(result, place.image, where);
    const box = source.box(compared === undefined ? result.bbox : (result.bbox ?? compared.box), where);
    const score = source.number(result.score, `score of ${where}`);
    evaluator.addDetection({ ...place, box, score }, compared?.mask);
  });
  if (background > 0)
    warn?.(
      `${counted(background, "result")} of ${source.path} ${agreeing(background, "is", "are")} of ${backgroundName}, which is no category of ${annotationsPath}: passed over, as pycocotools passes over ids that it does not know`,
    );
  if (places.contradictions > 0)
    warn?.(
      `${counted(places.contradictions, "result")} of ${source.path} ${agreeing(places.contradictions, "belongs to the file_name and category_name that it has, as scored here; its", "belong to the file_name and category_name that they have, as scored here; their")} image_id or category_id is that of another image or class of ${annotationsPath}, so that a program that goes by ids scores ${agreeing(places.contradictions, "it", "them")} wrongly`,
    );
}

/** What {@link addResults} goes by. */
interface Reading {
  places: ResultPlaces;
  masks: FileMasks | null;
  source: Source;
  annotationsPath: string;
  warn: FileEvaluationOptions["warn"];
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
