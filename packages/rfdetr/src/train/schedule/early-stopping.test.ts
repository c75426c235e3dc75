import { describe, expect, it } from "vitest";
import { EarlyStopping } from "./early-stopping.js";

describe("EarlyStopping", () => {
  it("waits for `patience` evaluations without a gain above the smallest that counts", () => {
    const stopping = new EarlyStopping(2, 0.01);
    expect([0.5, 0.505, 0.52, 0.52, Number.NaN].map((ap) => stopping.update(ap))).toEqual([
      false,
      false,
      false,
      false,
      true,
    ]);
  });

  it("goes on from its state", () => {
    const first = new EarlyStopping(2, 0);
    first.update(0.5);
    first.update(0.4);
    const second = new EarlyStopping(2, 0);
    second.load(JSON.parse(JSON.stringify(first.state())));
    expect(second.update(0.5)).toBe(true);
  });
});
