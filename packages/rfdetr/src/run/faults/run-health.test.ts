import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RunHealth } from "./run-health.js";

const after = (losses: readonly number[]): RunHealth => {
  const health = new RunHealth();
  for (const loss of losses) health.loss(loss);
  return health;
};
const loss = fc.double({ min: 1, max: 2, noNaN: true });

describe("the health of a run", () => {
  it("is good while losses stay within a factor of two, at any scale", () => {
    fc.assert(
      fc.property(
        fc.array(loss, { minLength: 1, maxLength: 400 }),
        fc.integer({ min: -20, max: 20 }),
        (losses, power) => {
          expect(after(losses.map((value) => value * 2 ** power)).good).toBe(true);
        },
      ),
    );
  });

  it("is bad after a loss that is not finite, or that explodes, until losses are usual again", () => {
    const wild = fc.oneof(
      fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY),
      fc.double({ min: 1000, max: 1e30, noNaN: true }),
    );
    fc.assert(
      fc.property(
        fc.array(loss, { minLength: 8, maxLength: 50 }),
        fc.array(wild, { minLength: 1, maxLength: 30 }),
        (calm, bad) => {
          expect(after([...calm, ...bad]).good).toBe(false);
          expect(after([...calm, ...bad, ...Array(8).fill(1)]).good).toBe(true);
        },
      ),
    );
  });

  it("has not diverged because the few first losses differ, though it is not one to go back to", () => {
    const health = after([0.75, 9.5, 18.1]);
    expect([health.good, health.diverged]).toEqual([false, false]);
    expect(after([0.75, 9.5, Number.NaN]).diverged).toBe(true);
    expect(after([...Array(8).fill(1), 18]).diverged).toBe(true);
  });

  it("takes a loss that stays high for the usual one in the end", () => {
    expect(after([...Array(20).fill(1), ...Array(200).fill(10)]).good).toBe(false);
    expect(after([...Array(20).fill(1), ...Array(300).fill(10)]).good).toBe(true);
  });

  it("is bad where the weights grew tenfold since the state that was kept, before any loss shows it", () => {
    const health = after([1, 1, 1]);
    health.weights(30);
    health.kept();
    health.weights(60);
    expect(health.good).toBe(true);
    health.weights(3000);
    expect(health.good).toBe(false);
    health.weights(Number.NaN);
    expect(health.good).toBe(false);
    health.wentBack();
    expect(health.good).toBe(true);
  });
});
