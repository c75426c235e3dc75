import { describe, expect, it } from "vitest";
import { watchInterval } from "./watch-interval.js";

const interval = (totalSteps: number, monitorInterval: number | "auto" = "auto"): number =>
  watchInterval({ totalSteps, settings: { monitorInterval } });

describe("the interval of watched steps", () => {
  it("gives a run some forty of them, but no fewer than every 200th step and no more than every tenth", () => {
    expect([1, 12, 100, 500, 2000, 8000].map((steps) => interval(steps))).toEqual([10, 10, 10, 13, 50, 200]);
    expect(interval(1_000_000)).toBe(200);
    expect(interval(0)).toBe(10);
  });

  it("is what the setting says where that is a number", () => {
    expect([interval(100, 0), interval(100, 7)]).toEqual([0, 7]);
  });
});
