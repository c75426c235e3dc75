import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkOverrides, pathPattern } from "./overrides.js";

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
});
