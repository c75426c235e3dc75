// @ts-check
// The targets of the check of a GPU.
import { fillTargets } from "rfdetr/instruments";

/** Targets of the golden numbers, with labels that the model has. */
export const targetsFor = (config, count) =>
  fillTargets(count).map((target) => ({ ...target, labels: target.labels.map((label) => label % config.numClasses) }));
