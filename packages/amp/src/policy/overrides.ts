// Overrides: rules for the modules whose path matches a pattern.

import { PolicyError } from "../errors.js";
import { moduleRules } from "../names.js";
import { nearest } from "./nearest.js";
import type { Overrides } from "./policy.js";

/**
 * Compiles a path pattern. It matches the path of a module and the paths of all modules inside it. Dots separate
 * segments. `*` stands for one segment or for part of one, `**` for any number of segments, including none.
 *
 * @example
 * pathPattern("decoder.layers.*.linear1").test("decoder.layers.0.linear1"); // true
 */
export function pathPattern(pattern: string): RegExp {
  // Stars in a row say no more than one of them, and the regular expression would try every way to share the text out.
  const segments = pattern.split(".").filter((segment, i, all) => segment !== "**" || all[i - 1] !== "**");
  let source = "";
  segments.forEach((segment, i) => {
    const last = i === segments.length - 1;
    if (segment === "**") source += last ? ".*" : "(?:[^.]+\\.)*";
    else source += segment.replace(/[\\^$+?()[\]{}|/-]/g, "\\$&").replaceAll(/\*+/g, "[^.]*") + (last ? "" : "\\.");
  });
  return new RegExp(`^${source}(?:\\.|$)`);
}

/**
 * Checks the patterns of overrides against the module paths of a model, and checks their rules.
 * @param paths the paths of all modules, as `namedModules()` gives them
 * @throws PolicyError for an unknown rule, and for a pattern that matches no module; the message names similar paths
 */
export function checkOverrides(overrides: Overrides, paths: readonly string[]): void {
  for (const [pattern, rule] of Object.entries(overrides)) {
    if (!moduleRules.includes(rule))
      throw new PolicyError(
        `Expected one of ${moduleRules.join(", ")} for the override of ${pattern} but received ${String(rule)}`,
      );
    const expression = pathPattern(pattern);
    if (paths.some((path) => expression.test(path))) continue;
    const near = nearPaths(pattern, paths);
    throw new PolicyError(
      `Expected a pattern that matches a module for an override but received ${pattern}, which matches none${near.length > 0 ? `; near it are ${near.join(", ")}` : ""}`,
    );
  }
}

/**
 * The paths that resemble a pattern. Those with the most segments in common come first. Numbers are replaced by `*`.
 */
function nearPaths(pattern: string, paths: readonly string[]): string[] {
  const wanted = pattern.split(".").filter((segment) => !/^[*\d]*$/.test(segment));
  const folded = [...new Set(paths.map((path) => path.replace(/(?<=^|\.)\d+(?=\.|$)/g, "*")))];
  const score = (path: string): number => {
    const segments = path.split(".");
    return (
      wanted.filter((segment) => nearest(segment, segments, 1).length > 0).length -
      (segments.length - wanted.length) / 100
    );
  };
  return folded
    .map((path) => ({ path, score: score(path) }))
    .filter((entry) => entry.score >= 0.5)
    .sort((a, b) => b.score - a.score || a.path.length - b.path.length)
    .slice(0, 3)
    .map((entry) => entry.path);
}
