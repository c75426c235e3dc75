// What a training starts from by default: the weights that are published for the model.
import { ConfigError } from "../support/errors.js";
import { publishedWeights } from "../weights/published/published-weights.js";

/**
 * The weights that a model starts from.
 * @param given what was asked for: `coco`, `none` (or null), a path or the name of published weights
 * @returns `coco`, a path or a name; null for random weights. Without `given`, `coco` for a model whose weights are
 * published and null for any other
 * @throws ConfigError for `coco` where no weights are published
 */
export function startWeights(model: string, given?: string | null): string | null {
  const isPublished = Object.hasOwn(publishedWeights, model);
  if (given === undefined) return isPublished ? "coco" : null;
  if (given === null || given === "none") return null;
  if (given === "coco" && !isPublished)
    throw new ConfigError(
      `Expected a model whose COCO weights are published for weights = "coco" but received ${model}: give a file, or none for random weights`,
    );
  return given;
}
