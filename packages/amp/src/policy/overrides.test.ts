import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PolicyError } from "../errors.js";
import { editDistance, nearest } from "./nearest.js";
import { checkOverrides, pathPattern } from "./overrides.js";
import { cudaPolicy, defaultPolicy, policyByName, policyDifferences, withOperators } from "./policy.js";

const paths = [
  "",
  "encoder",
  "encoder.layer.0",
  "encoder.layer.0.attention",
  "encoder.layer.10.attention",
  "decoder.layers.0.cross_attn",
  "decoder.layers.0.cross_attn.value_proj",
  "decoder.layers.1.cross_attn",
];
const fitting = (pattern: string): string[] => paths.filter((path) => pathPattern(pattern).test(path));

describe("path patterns", () => {
  it.each([
    ["encoder", ["encoder", "encoder.layer.0", "encoder.layer.0.attention", "encoder.layer.10.attention"]],
    ["encoder.layer.1", []],
    [
      "decoder.layers.*.cross_attn",
      ["decoder.layers.0.cross_attn", "decoder.layers.0.cross_attn.value_proj", "decoder.layers.1.cross_attn"],
    ],
    ["**.attention", ["encoder.layer.0.attention", "encoder.layer.10.attention"]],
    ["**.value_*", ["decoder.layers.0.cross_attn.value_proj"]],
    ["**", paths],
    ["*", paths],
    ["**.**.attention", ["encoder.layer.0.attention", "encoder.layer.10.attention"]],
    ["**.***_attn", fitting("**.*_attn")],
    ["layer.0", []],
  ])("%s fits %j", (pattern, expected) => expect(fitting(pattern)).toEqual(expected));

  it("of many stars are tried in no more ways than of one", () => {
    const path = `${"a".repeat(40)}.`.repeat(40);
    for (const pattern of ["*".repeat(200), "**.".repeat(200)])
      expect(pathPattern(`${pattern}b`).test(`${path}c`)).toBe(false);
  });

  it("a path is always a pattern of itself and of what is inside", () => {
    const segment = fc.stringMatching(/^[a-z0-9_]{1,6}$/);
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1, maxLength: 4 }), segment, (segments, inside) => {
        const path = segments.join(".");
        expect(pathPattern(path).test(path)).toBe(true);
        expect(pathPattern(path).test(`${path}.${inside}`)).toBe(true);
        expect(pathPattern(path).test(`${path}${inside}`)).toBe(false);
        expect(pathPattern(`**.${segments[segments.length - 1]}`).test(path)).toBe(true);
      }),
    );
  });
});

describe("mistakes", () => {
  it("a pattern that matches nothing is an error with near matches", () => {
    expect(() => checkOverrides({ "decoder.layers.*.cros_attn": "fp32" }, paths)).toThrow(
      /received decoder.layers.\*.cros_attn, which matches none; near it are .*decoder.layers.\*.cross_attn/,
    );
    expect(() => checkOverrides({ "decoder.layers.*.cross_attn": "fp32" }, paths)).not.toThrow();
  });
  it("so is an unknown rule", () => {
    expect(() => checkOverrides({ encoder: "fp8" as "fp32" }, paths)).toThrow(
      /Expected one of lower, fp32, .* for the override of encoder but received fp8/,
    );
  });
  it("so is an unknown operator or policy", () => {
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
  it("differ where docs/precision.md says so", () => {
    expect(policyDifferences(defaultPolicy, cudaPolicy).map((d) => d.operator)).toContain("topk");
  });
});

describe("near names", () => {
  it("are few edits away", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("lienar", "linear")).toBe(1);
    expect(nearest("lienar", ["linear", "conv2d", "bilinear"])).toEqual(["linear"]);
  });
});
