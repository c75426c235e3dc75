// An evaluation of a model with masks, made up.
import type { EvaluationDetails, ExplainedFigures } from "../../eval/details/evaluation-details.js";
import { exampleDetails } from "./example-details.js";

/** Figures of masks beside those of `exampleDetails`: each is half of that of the boxes, and other errors cost most. */
export function maskedDetails(): EvaluationDetails & { masks: ExplainedFigures } {
  const details = exampleDetails();
  const { per_class: classes, sizes, properties, errors, curves, confusion } = exampleDetails();
  const half = (value: number | null): number | null => (value === null ? null : value / 2);
  const halves = <T extends { AP: number | null; AP50: number | null }>(of: T): T => ({
    ...of,
    AP: half(of.AP),
    AP50: half(of.AP50),
  });
  const best = { threshold: 0.31, precision: 0.5, recall: 0.25, f1: 0.333 };
  const inexact = { count: 3, lost: 0.25 };
  return {
    ...details,
    masks: {
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
      per_class: classes.map((each) => ({
        ...halves(each),
        AP75: half(each.AP75),
        AR: half(each.AR),
        best: each.best === null ? null : best,
        errors: { ...each.errors, localisation: each.instances === 0 ? each.errors.localisation : inexact },
      })),
      best_threshold: best,
      sizes: sizes.map((each) => ({ ...halves(each), AR: half(each.AR) })),
      properties: properties.map(({ property, groups }) => ({ property, groups: groups.map(halves) })),
      errors: {
        ...errors,
        AP50: half(errors.AP50),
        kinds: {
          ...errors.kinds,
          localisation: { ...inexact, sizes: { ...errors.kinds.localisation.sizes, medium: inexact } },
        },
        costliest: { kind: "localisation", size: null, lost: 0.25 },
      },
      curves,
      confusion,
    },
  };
}
