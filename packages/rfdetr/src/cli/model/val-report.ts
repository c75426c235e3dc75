// What `rfdetr val` prints.
import type { CocoFigures, CocoSummary } from "../../eval/coco/coco-summary.js";
import { stockFigures } from "../../eval/coco/coco-summary.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { costliestWords } from "../../eval/error-analysis/error-words.js";
import { counted, fraction } from "../../support/format.js";
import type { Console } from "../console/console.js";

/**
 * The figures as JSON: those of COCO, and what explains them.
 * @param stock whether figures without ground truth are −1, as pycocotools has them, and not null
 */
export function evaluationJson(summary: CocoSummary, details: EvaluationDetails, stock: boolean): object {
  const { best_threshold, sizes, properties, errors, origin, datasets } = details;
  const figures: { per_class?: unknown } = stock ? stockFigures(summary) : summary;
  const classes = figures.per_class as object[];
  return {
    ...figures,
    per_class: classes.map((each, label) => {
      const { best, errors: own } = details.per_class[label];
      return { ...each, best, errors: own };
    }),
    precision: origin.precision,
    ...(datasets === undefined ? {} : { datasets }),
    best_threshold,
    sizes,
    properties,
    errors,
  };
}

/**
 * Prints the overall figures, those of each class, the threshold to use and what costs most.
 * @param next the command that uses the threshold; null where there are no weights
 */
export function printEvaluation(
  console: Console,
  summary: CocoSummary,
  details: EvaluationDetails,
  next: string | null,
): void {
  const figures = ["AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "AR1", "AR10", "AR100"] as const;
  const { masks } = summary;
  const cells = (of: CocoFigures): string[] => figures.map((name) => fraction(of[name]));
  // Without masks nothing needs to be told apart.
  if (masks === undefined) console.table(figures, [cells(summary)], ["AR1", "AR10", "AR100"]);
  else
    console.table(
      ["of", ...figures],
      [
        ["boxes", ...cells(summary)],
        ["masks", ...cells(masks)],
      ],
      ["AR1", "AR10", "AR100"],
    );
  console.result();
  const rows = details.per_class.map((entry, label) => [
    entry.class_name,
    String(entry.instances),
    ...(masks === undefined ? [] : [fraction(masks.per_class[label].AP)]),
    fraction(entry.AP),
    fraction(entry.AP50),
    fraction(entry.AP75),
    fraction(entry.AR),
    entry.best === null ? "–" : entry.best.threshold.toFixed(2),
  ]);
  const box = masks === undefined ? "" : "box ";
  const ofMasks = masks === undefined ? [] : ["mask AP"];
  const ofBoxes = ["AP", "AP50", "AP75", "AR"].map((name) => box + name);
  const titles = ["class", "objects", ...ofMasks, ...ofBoxes, "threshold"];
  console.table(titles, rows, [`${box}AR`, `${box}AP75`, "objects"]);
  console.result();
  printDatasets(console, details.datasets ?? [], box);
  const { threshold, f1, precision, recall } = details.best_threshold;
  if (f1 > 0)
    console.sentence(
      `Best threshold for all classes${masks === undefined ? "" : ", by boxes"}: ${threshold.toFixed(2)} (F1 ${fraction(f1)}, precision ${fraction(precision)}, recall ${fraction(recall)})`,
    );
  const most = costliestWords(details.errors.costliest, masks !== undefined);
  if (most !== null) console.sentence(most);
  const how = details.origin.precision === null ? "" : `, ${details.origin.precision}`;
  const { split } = details.origin;
  const images = counted(summary.images, "image");
  const counts = [
    split === null ? images : `Measured on ${images} of ${split}`,
    counted(summary.instances, "object"),
    counted(summary.detections, "detection"),
  ];
  console.sentence(`${counts.join(", ")}${how}`);
  if (next !== null) console.fields([["next", next]]);
}

/** The figures of each of several datasets. */
function printDatasets(console: Console, datasets: NonNullable<EvaluationDetails["datasets"]>, box: string): void {
  if (datasets.length === 0) return;
  const rows = datasets.map(({ path, images, instances, AP, AP50 }) => [
    path,
    ...[String(images), String(instances), fraction(AP), fraction(AP50)],
  ]);
  console.table(["dataset", "images", "objects", `${box}AP`, `${box}AP50`], rows, ["objects", "images"]);
  console.result();
}
