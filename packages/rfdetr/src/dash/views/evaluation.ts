// The last evaluation of a run, for the page: figures of the classes, and images with boxes.
import type { ClassSummary } from "../../eval/coco/coco-summary.js";
import { type ClassDetails, type ImageDetails, mainDetails } from "../../eval/details/evaluation-details.js";
import type { RunRecord } from "../../report/records/run-record.js";
import { classColors, readableOn } from "../../support/class-colors.js";
import type { EvaluationView } from "../wire.js";
import type { NamedImages } from "./images.js";

/** What the page shows of an evaluation; null before the first. */
export function evaluationOf({ evaluation, details, config }: RunRecord, names: NamedImages): EvaluationView | null {
  if (evaluation === null) return null;
  const { AP, AP50, masks } = evaluation;
  const classes: (ClassSummary & Partial<ClassDetails>)[] = details?.per_class ?? evaluation.per_class.filter(hasName);
  const main = details === null ? null : mainDetails(details);
  const best = main?.best_threshold;
  const colors = classColors(classes.map(({ class_name }) => class_name));
  const nameOf = ({ file, width, height }: ImageDetails): string | null =>
    file === null || config?.data === undefined
      ? null
      : names.name(file, width === null || height === null ? null : { width, height });
  return {
    origin: details?.origin ?? null,
    AP,
    AP50,
    ...(masks === undefined ? {} : { masks: { AP: masks.AP, AP50: masks.AP50 } }),
    threshold: best !== undefined && best.f1 > 0 ? best.threshold : null,
    classes: classes.map(({ class_name: name, instances, AP, AP50 }, label) => ({
      name,
      color: colors[label],
      ink: readableOn(colors[label]),
      instances,
      AP,
      AP50,
      ...(masks === undefined
        ? {}
        : { maskAP: masks.per_class[label]?.AP ?? null, maskAP50: masks.per_class[label]?.AP50 ?? null }),
      best: main?.per_class[label]?.best ?? null,
    })),
    images: (details?.images_shown ?? []).map((image) => {
      const { file, width, height, worst, truths, detections } = image;
      return { image: nameOf(image), file, width, height, worst, truths, detections };
    }),
  };
}

const hasName = (each: ClassSummary | null): each is ClassSummary => typeof each?.class_name === "string";
