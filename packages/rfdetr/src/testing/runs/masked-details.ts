// An evaluation of a model with masks, made up.
import type { CocoFigures } from "../../eval/coco/coco-summary.js";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { exampleDetails } from "./example-details.js";

/** Figures of masks beside those of `exampleDetails`: each is half of that of the boxes. */
export function maskedDetails(): EvaluationDetails & { masks: CocoFigures } {
  const { per_class: classes, ...details } = exampleDetails();
  const half = (value: number | null): number | null => (value === null ? null : value / 2);
  const figures = {
    AP: half(details.AP),
    AP50: half(details.AP50),
    AP75: half(details.AP75),
    AP_small: half(details.AP_small),
    AP_medium: half(details.AP_medium),
    AP_large: half(details.AP_large),
    AR_small: half(details.AR_small),
    AR_medium: half(details.AR_medium),
    AR_large: half(details.AR_large),
    AR1: half(details.AR1),
    AR10: half(details.AR10),
    AR100: half(details.AR100),
  };
  return {
    ...details,
    per_class: classes,
    masks: {
      ...figures,
      per_class: classes.map(({ best, errors, ...each }) => ({
        ...each,
        AP: half(each.AP),
        AP50: half(each.AP50),
        AP75: half(each.AP75),
        AR: half(each.AR),
      })),
    },
  };
}
