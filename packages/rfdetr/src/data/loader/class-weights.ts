// Weights of classes in the loss, from how often they occur.
import { DataError } from "../../support/errors.js";
import { shown } from "../../support/shown.js";
import { suggest } from "../../support/suggest.js";

/**
 * The weight of each class.
 * @param given a power p: a class of n boxes has a weight in proportion to n^−p, and the mean over all boxes is 1, so
 * that p = 1 is scikit-learn's `compute_class_weight("balanced")`; or weights by name, 1 for classes that are not named
 * @param boxes `[classes]` boxes of each class in an epoch; one without any has the weight 1
 * @returns null where all weights are 1
 * @throws DataError for a name that is no class
 */
export function classWeights(
  given: number | Readonly<Record<string, number>>,
  classNames: readonly string[],
  boxes: ArrayLike<number>,
): number[] | null {
  if (typeof given === "number") return given === 0 ? null : inverse(given, Array.from(boxes));
  const unknown = Object.keys(given).find((name) => !classNames.includes(name));
  if (unknown !== undefined) {
    const meant = suggest(unknown, [...classNames]);
    throw new DataError(
      `Expected names of classes in class_weights, ${shown(classNames)}, but received ${unknown}${meant === undefined ? "" : `: did you mean ${meant}?`}`,
    );
  }
  const weights = classNames.map((name) => given[name] ?? 1);
  return weights.every((weight) => weight === 1) ? null : weights;
}

function inverse(power: number, boxes: readonly number[]): number[] {
  const some = boxes.filter((n) => n > 0);
  const mean = some.reduce((sum, n) => sum + n ** (1 - power), 0) / some.reduce((sum, n) => sum + n, 0);
  return boxes.map((n) => (n > 0 ? n ** -power / mean : 1));
}
