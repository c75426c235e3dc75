// What weights files and exported files carry of the evaluation of their training: the thresholds that it found best,
// as JSON, and AP50, which says whether any detection was right. No import of Node.
import { isShare } from "./thresholds.js";

/**
 * Thresholds with the best F1: of each class by its name, where one helps, and as `*` the one for all classes. They can
 * be given to `predict` as they are.
 */
export type RecordedThresholds = Readonly<Record<"*", number> & Record<string, number>>;

/** Whether something that was read is thresholds. */
export function isThresholds(value: unknown): value is RecordedThresholds {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "*")) return false;
  return Object.values(value).every(isShare);
}

/** AP50 in the metadata of weights, of masks where the model has some; null where there is none. */
export function recordedAP50({ mask_AP50, AP50 }: Readonly<Record<string, string>>): number | null {
  const value = Number(mask_AP50 ?? AP50 ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}
