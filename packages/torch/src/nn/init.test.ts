import { describe, expect, it } from "vitest";
import { empty, manualSeed, nn, type Tensor } from "../index.js";

const count = 2 ** 18;
// A seed whose first 2^18 uniform numbers on [-1, 1) contain -1 itself.
const seed = 84;
const drawn = (init: (t: Tensor) => Tensor): Tensor => {
  manualSeed(seed);
  return init(empty([count]));
};

describe("truncNormal_", () => {
  it("has no outlier where the uniform number below it is exactly -1", () => {
    const uniform = drawn((t) => nn.init.uniform_(t, -1, 1));
    expect(uniform.min().item()).toBe(-1);
    const t = drawn((x) => nn.init.truncNormal_(x, 0, 0.02));
    // The finest uniform number in float32 stands for 5.42 deviations.
    expect(t.abs().max().item()).toBeLessThan(0.02 * 5.43);
    // Four standard errors of a deviation estimated from this many draws.
    expect(Math.abs(t.std(undefined, 0).item() / 0.02 - 1)).toBeLessThan(4 / Math.sqrt(2 * count));
  });

  it("keeps inside its bounds", () => {
    const t = drawn((x) => nn.init.truncNormal_(x, 0, 1, -1, 2));
    expect([t.min().item() >= -1, t.max().item() <= 2]).toEqual([true, true]);
  });
});
