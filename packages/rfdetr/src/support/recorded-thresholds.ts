// The thresholds that the evaluation of a training found best. Weights files and exported files carry them as JSON. No
// import of Node.

/**
 * Thresholds with the best F1: of each class by its name, where one helps, and as `*` the one for all classes. They can
 * be given to `predict` as they are.
 */
export type RecordedThresholds = Readonly<Record<"*", number> & Record<string, number>>;

/** Whether something that was read is thresholds. */
export function isThresholds(value: unknown): value is RecordedThresholds {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, "*")) return false;
  return Object.values(value).every((each) => typeof each === "number" && each >= 0 && each <= 1);
}
