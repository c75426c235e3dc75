import { describe, expect, it } from "vitest";
import { parseAssignment, parseOverrides } from "./setting-flags.js";

describe("settings as text", () => {
  it("read values as JSON if they parse, as text otherwise", () => {
    expect(parseAssignment("lr=1e-3")).toEqual(["lr", 1e-3]);
    expect(parseAssignment("use_ema=false")).toEqual(["use_ema", false]);
    expect(parseAssignment("lr_scheduler=cosine")).toEqual(["lr_scheduler", "cosine"]);
    expect(() => parseAssignment("lr")).toThrow("Expected key=value");
  });

  it("read precision overrides, and name a pair or a rule that is wrong", () => {
    expect(parseOverrides(["backbone.*=fp32", "a=b=keep"])).toEqual({ "backbone.*": "fp32", "a=b": "keep" });
    expect(() => parseOverrides(["fp32"])).toThrow('Expected pattern=rule for override but received "fp32"');
    expect(() => parseOverrides(["a=fp8"])).toThrow("for override but received");
  });
});
