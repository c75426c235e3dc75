// Freezing: parts of a model that keep the weights that they start with.
import { pathPattern } from "@rfdetr/amp";
import type { RFDETRModel } from "../../model/rfdetr.js";
import type { TrainSettings } from "../../settings/settings.js";
import { ConfigError } from "../../support/errors.js";
import { grouped } from "../../support/format.js";
import { suggest } from "../../support/suggest.js";

const encoder = "backbone.0.encoder";

/**
 * Freezes the modules that the settings name: their parameters get no gradient and no state of the optimizer.
 * @returns what is frozen, in a sentence; null where nothing is
 * @throws ConfigError for a pattern that matches no module, and where nothing is left to train
 */
export function freezeModules(
  model: RFDETRModel,
  { freeze, freezeEncoder }: Pick<TrainSettings, "freeze" | "freezeEncoder">,
): string | null {
  const patterns = [...(freezeEncoder ? [encoder] : []), ...freeze];
  if (patterns.length === 0) return null;
  const parameters = [...model.namedParameters()];
  const expressions = patterns.map((pattern) => matching(pattern, parameters));
  let frozen = 0;
  let all = 0;
  for (const [name, parameter] of parameters) {
    all += parameter.numel;
    if (!expressions.some((expression) => expression.test(name))) continue;
    parameter.requiresGrad = false;
    frozen += parameter.numel;
  }
  if (frozen === all)
    throw new ConfigError(`Expected a module that is left to train but freeze matches all ${grouped(all)} parameters`);
  return `Frozen are ${grouped(frozen)} of ${grouped(all)} parameters, those of ${patterns.join(", ")}`;
}

/** @throws ConfigError where the pattern matches no parameter */
function matching(pattern: string, parameters: readonly (readonly [name: string, unknown])[]): RegExp {
  const expression = pathPattern(pattern);
  if (parameters.some(([name]) => expression.test(name))) return expression;
  const modules = new Set(parameters.flatMap(([name]) => parentsOf(name)));
  const meant = suggest(pattern, [...modules]);
  throw new ConfigError(
    `Expected a pattern that matches a module for freeze but received ${pattern}, which matches none${meant === undefined ? "" : `: did you mean ${meant}?`}`,
  );
}

/** The paths of the modules that a parameter is in. */
function parentsOf(name: string): string[] {
  const parts = name.split(".");
  return parts.slice(1).map((_, i) => parts.slice(0, i + 1).join("."));
}
