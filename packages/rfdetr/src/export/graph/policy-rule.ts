// What the precision of the training does with an operator in a module.
import { type ModuleRule, type Overrides, type Policy, pathPattern } from "@rfdetr/amp";
import type { Operator } from "@rfdetr/torch";
import type { Origin } from "./graph.js";

/** Looks up rules as autocast does: where several patterns match a module, the last one counts. */
export function policyRules(
  policy: Policy,
  overrides: Overrides,
): (op: Operator, module: string) => Pick<Origin, "rule" | "moduleRule"> {
  const patterns = Object.entries(overrides).map(([pattern, rule]) => [pathPattern(pattern), rule] as const);
  return (op, module) => {
    const moduleRule: ModuleRule = patterns.findLast(([pattern]) => pattern.test(module))?.[1] ?? "policy";
    if (op.base === "_to_copy") return { rule: "keep", moduleRule };
    const listed = policy.rows.get(op.base)?.rule ?? "keep";
    if (moduleRule === "policy" || moduleRule === "bf16") return { rule: listed, moduleRule };
    return { rule: moduleRule === "bf16x3" ? "fp32" : moduleRule, moduleRule };
  };
}
