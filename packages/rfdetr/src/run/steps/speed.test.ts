import { describe, expect, it } from "vitest";
import { SpeedMeter } from "./speed.js";

describe("the speed of a run", () => {
  it("is known from the first step on", () => {
    const speed = new SpeedMeter();
    expect(speed.perSecond).toBe(0);
    speed.begin(1000);
    speed.add(8, 3000);
    expect(speed.perSecond).toBe(4);
  });

  it("does not count the time between epochs", () => {
    const speed = new SpeedMeter();
    speed.begin(0);
    speed.add(8, 2000);
    speed.begin(60_000);
    speed.add(8, 62_000);
    expect(speed.perSecond).toBe(4);
  });

  it("follows the last steps", () => {
    const speed = new SpeedMeter(3);
    speed.begin(0);
    for (const at of [8000, 9000, 10_000, 11_000]) speed.add(8, at);
    expect(speed.perSecond).toBe(8);
  });
});
