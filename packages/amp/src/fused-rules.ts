// Fused operators as a policy sees them: which rules they have built in for the operators that they stand for.
import type { CastRule, Policy } from "./policy.js";

/**
 * By base name of a fused operator, the rule that it follows inside for each of its parts. Where a policy gives a part
 * another rule, autocast takes the decomposition. `mlp` is not listed: each of its layers is a module with a rule of
 * its own.
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

/** Whether a policy treats every part of a fused operator as the operator itself does. */
export function agreesOnParts({ rows }: Policy, fused: string): boolean {
  return Object.entries(builtIn[fused] ?? {}).every(([part, rule]) => (rows.get(part)?.rule ?? "keep") === rule);
}
