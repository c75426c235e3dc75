// `rfdetr/loss`: the bipartite matcher and the training loss.
export { centreToCorners, cornersToCentre, overlaps } from "./boxes.js";
export { type ClassificationKind, classificationLoss, type Matched } from "./classification.js";
export { Criterion, type CriterionOptions, type Losses } from "./criterion.js";
export { linearSumAssignment } from "./linear-assignment.js";
export { defaultMaskOptions, type MaskLossOptions } from "./masks.js";
export { defaultCosts, HungarianMatcher, type MatcherCosts, type Matching } from "./matcher.js";
export type { DrawPoints } from "./points.js";
