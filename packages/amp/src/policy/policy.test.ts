import { describe, expect, it } from "vitest";
import { PolicyError } from "../errors.js";
import { cudaPolicy, defaultPolicy, type Policy, policyByName, withOperators } from "./policy.js";

describe("mistakes", () => {
  it("an unknown operator or policy is an error that names near ones", () => {
    expect(() => withOperators(defaultPolicy, { layernorm: "fp32" })).toThrow(
      /received layernorm; near it are .*layer_norm/,
    );
    expect(() => withOperators(defaultPolicy, { layernorm: "fp32" })).toThrow(PolicyError);
    expect(withOperators(defaultPolicy, { hardtanh: "fp32" }).rows.get("hardtanh")?.rule).toBe("fp32");
    expect(() => policyByName("cuda")).toThrow(/Expected one of default, pytorch-cuda/);
  });
});

describe("the tables", () => {
  it("give a reason for every row", () => {
    for (const policy of [defaultPolicy, cudaPolicy])
      for (const [op, row] of policy.rows) expect(row.reason, op).not.toBe("");
  });
  it("list the same operators", () => {
    const missing = (a: typeof defaultPolicy, b: typeof defaultPolicy): string[] =>
      [...a.rows.keys()].filter((op) => !b.rows.has(op));
    expect([missing(defaultPolicy, cudaPolicy), missing(cudaPolicy, defaultPolicy)]).toEqual([
      ["binary_cross_entropy"],
      [],
    ]);
  });
  it("differ in these operators, and in no other", () => {
    const ruleOf = ({ rows }: Policy, operator: string): string => rows.get(operator)?.rule ?? "keep";
    const differing = [...defaultPolicy.rows.keys()].flatMap((operator) => {
      const [ours, cuda] = [ruleOf(defaultPolicy, operator), ruleOf(cudaPolicy, operator)];
      return ours === cuda ? [] : [`${operator}: ${ours}, ${cuda}`];
    });
    expect(differing.sort()).toEqual(
      [
        ...["batch_norm", "log_sigmoid", "std", "var", "binary_cross_entropy"].map((name) => `${name}: fp32, keep`),
        ...["upsample_nearest2d", "topk", "sort", "argsort"].map((name) => `${name}: fp32, keep`),
        ...["grid_sampler", "grid_sampler_2d", "grid_sampler_3d"].map((name) => `${name}: fp32, widest`),
        ...["where", "lerp"].map((name) => `${name}: widest, keep`),
      ].sort(),
    );
  });
});
