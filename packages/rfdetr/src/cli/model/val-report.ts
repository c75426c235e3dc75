// What `rfdetr val` prints.
import type { CocoFigures, CocoSummary } from "../../eval/coco/coco-summary.js";
import { stockFigures } from "../../eval/coco/coco-summary.js";
import type { IouType } from "../../eval/coco/overlaps.js";
import { type EvaluationDetails, type Explanation, mainDetails } from "../../eval/details/evaluation-details.js";
import { costliestWords } from "../../eval/error-analysis/error-words.js";
import { counted, fraction, thresholdText } from "../../support/format.js";
import type { Console } from "../console/console.js";
import { commandLines } from "../console/next-command.js";

/**
 * The figures as JSON: those of COCO, and what explains them; those of masks under `masks`.
 * @param stock whether figures without ground truth are −1, as pycocotools has them, and not null
 */
export function evaluationJson(summary: CocoSummary, details: EvaluationDetails, stock: boolean): object {
  const { masks, ...boxes } = (stock ? stockFigures(summary) : summary) as { per_class: object[]; masks?: Figures };
  const explained = explainedJson(boxes, details);
  return {
    ...explained,
    precision: details.origin.precision,
    ...(masks === undefined || details.masks === undefined ? {} : { masks: explainedJson(masks, details.masks) }),
  };
}

interface Figures {
  per_class: object[];
}

function explainedJson(figures: Figures, explanation: Explanation): object {
  const { best_threshold, sizes, properties, errors, datasets } = explanation;
  return {
    ...figures,
    per_class: figures.per_class.map((each, label) => {
      const { best, errors: own } = explanation.per_class[label];
      return { ...each, best, errors: own };
    }),
    ...(datasets === undefined ? {} : { datasets }),
    best_threshold,
    sizes,
    properties,
    errors,
  };
}

/**
 * Prints the overall figures, those of each class, the threshold to use and what costs most; where there are masks, all
 * of these by the masks, and in short by the boxes.
 * @param next the command that uses the threshold; null where there are no weights
 */
export function printEvaluation(
  console: Console,
  summary: CocoSummary,
  details: EvaluationDetails,
  next: string | null,
): void {
  const figures = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100"] as const;
  const { masks } = details;
  const cells = (of: CocoFigures): string[] => figures.map((name) => fraction(of[name]));
  // Without masks nothing needs to be told apart.
  if (masks === undefined) console.table(figures, [cells(summary)], ["AR1", "AR10", "AR100"]);
  else
    console.table(
      ["of", ...figures],
      [
        ["masks", ...cells(masks)],
        ["boxes", ...cells(summary)],
      ],
      ["AR1", "AR10", "AR100"],
    );
  console.result();
  printClasses(console, details);
  printDatasets(console, details);
  if (masks === undefined) printExplanation(console, details);
  else {
    printExplanation(console, masks, "masks");
    printExplanation(console, details, "boxes");
  }
  if (details.origin.split === "test" && mainDetails(details).best_threshold.f1 > 0)
    console.sentence("Choose thresholds on valid: one chosen on test makes the figures of test too good");
  const how = details.origin.precision === null ? "" : `, ${details.origin.precision}`;
  const { split } = details.origin;
  const images = counted(summary.images, "image");
  const counts = [
    split === null ? images : `Measured on ${images} of ${split}`,
    counted(summary.instances, "object"),
    counted(summary.detections, "detection"),
  ];
  console.sentence(`${counts.join(", ")}${how}`);
  if (next !== null) console.fields([["next", ...commandLines(next)]]);
}

function printClasses(console: Console, details: EvaluationDetails): void {
  const of = details.masks === undefined ? "" : "mask ";
  const rows = mainDetails(details).per_class.map((entry, label) => [
    entry.class_name,
    String(entry.instances),
    fraction(entry.AP),
    fraction(entry.AP50),
    fraction(entry.AP75),
    fraction(entry.AR),
    ...(of === "" ? [] : [fraction(details.per_class[label].AP)]),
    entry.best === null ? "–" : thresholdText(entry.best.threshold),
  ]);
  const figures = ["AP", "AP50", "AP75", "AR"].map((name) => of + name);
  const titles = ["class", "objects", ...figures, ...(of === "" ? [] : ["box AP"]), "threshold"];
  console.table(titles, rows, [`${of}AR`, `${of}AP75`, "objects"]);
  console.result();
}

/** The threshold to use and what costs most. @param of whether boxes or masks were judged, where there are both */
function printExplanation(console: Console, { best_threshold, errors }: Explanation, of?: IouType): void {
  const { threshold, f1, precision, recall } = best_threshold;
  if (f1 > 0)
    console.sentence(
      `Best threshold for all classes${of === undefined ? "" : `, by ${of}`}: ${thresholdText(threshold)} (F1 ${fraction(f1)}, precision ${fraction(precision)}, recall ${fraction(recall)})`,
    );
  const most = costliestWords(errors.costliest, of);
  if (most !== null) console.sentence(most);
}

/** The figures of each of several datasets. */
function printDatasets(console: Console, details: EvaluationDetails): void {
  const { masks, datasets: boxes = [] } = details;
  const { datasets = [] } = mainDetails(details);
  if (datasets.length === 0) return;
  const rows = datasets.map(({ path, images, instances, AP, AP50 }, i) => [
    path,
    ...[String(images), String(instances), fraction(AP), fraction(AP50)],
    ...(masks === undefined ? [] : [fraction(boxes[i].AP)]),
  ]);
  const titles = masks === undefined ? ["AP", "AP50"] : ["mask AP", "mask AP50", "box AP"];
  console.table(["dataset", "images", "objects", ...titles], rows, ["objects", "images"]);
  console.result();
}
