// The rules that fused operators have built in for the operators that they replace.

import type { CastRule } from "../names.js";
import type { Policy } from "../policy/policy.js";

/**
 * By base name of a fused operator, the rule that it follows for each of its parts. Where a policy gives a part another
 * rule, autocast runs the decomposition. `mlp` is not listed, because each of its layers is a module with its own rule.
 */
const builtIn: Readonly<Record<string, Readonly<Record<string, CastRule>>>> = {
  deformable_attention: {
    softmax: "fp32",
    add: "keep",
    sub: "keep",
    mul: "keep",
    grid_sampler: "fp32",
    cat: "widest",
    sum: "fp32",
  },
};

/** Whether a policy gives every part of a fused operator the rule that the operator has built in. */
export function agreesOnParts({ rows }: Policy, fused: string): boolean {
  return Object.entries(builtIn[fused] ?? {}).every(([part, rule]) => (rows.get(part)?.rule ?? "keep") === rule);
}
