import { describe, expect, it } from "vitest";
import { Forecaster, type ForecastRecord } from "./forecast.js";
import type { ModuleRecord } from "./module-record.js";

const module = (path: string, bits: number, dtype = "float16"): ModuleRecord => ({
  path,
  dtype,
  amax: 65504 / 2 ** bits,
  non_finite: 0,
  fp16_flush: 0,
  fp16_subnormal: 0,
  fp16_saturate: 0,
  bf16_flush: 0,
  exponents: { first: 0, counts: [1] },
  largest: { value: 65504 / 2 ** bits, dtype, index: [], image: null },
});

/** The forecasts after the last of watched steps, ten steps apart, with these bits to overflow. */
function after(bits: number[], dtype = "float16"): ForecastRecord[] {
  const forecaster = new Forecaster();
  return bits.map((value, i) =>
    forecaster.add({ step: 10 * (i + 1), scale: 1, forward: [module("a", value, dtype)], gradient: [] }),
  )[bits.length - 1];
}

describe("a forecast", () => {
  it("follows the line of the bits that are left, with its basis", () => {
    const [forecast, ...others] = after([10, 8, 6, 4]);
    expect(others).toEqual([]);
    expect(forecast).toMatchObject({ path: "a", side: "forward", dtype: "float16", basis: { first: 10, records: 4 } });
    for (const [figure, expected] of [
      [forecast.headroom, 4],
      [forecast.bits_per_step, 0.2],
      [forecast.steps, 20],
      [forecast.watched_steps, 2],
      [forecast.basis.r2, 1],
    ])
      expect(figure).toBeCloseTo(expected, 9);
  });

  it("is made of growth that is steady only", () => {
    expect(after([10, 8, 6]), "three steps are too few").toEqual([]);
    expect(after([10, 8, 8.5, 6]), "less room from each step to the next").toEqual([]);
    expect(after([10, 9.99, 9.98, 5]), "close to a line").toEqual([]);
    expect(after([14, 13.9, 13.8, 13.7]), "not further than three times the basis").toEqual([]);
    expect(after([12, 10, 8, 6, 4, 2, 1, Number.NEGATIVE_INFINITY]), "before the overflow").toEqual([]);
  });

  it("is made where few bits are left, and overflow would come before the end", () => {
    expect(after([17, 14, 11, 8]), "eight bits are many").toEqual([]);
    expect(after([16.9, 13.9, 10.9, 7.9])).toHaveLength(1);
    const until = (end: number): ForecastRecord[] => {
      const forecaster = new Forecaster();
      const all = [10, 8, 6, 4].map((bits, i) =>
        forecaster.add({ step: i + 1, scale: 1, forward: [module("a", bits)], gradient: [] }, end),
      );
      return all[3];
    };
    // Two more steps from the fourth.
    expect(until(5)).toEqual([]);
    expect(until(6.5)).toHaveLength(1);
  });

  it("begins anew after a step that did not grow", () => {
    const [forecast] = after([10, 12, 9, 6, 3]);
    expect(forecast.basis).toMatchObject({ first: 20, records: 4 });
    expect(forecast.steps).toBeCloseTo(10, 9);
  });

  it("is of the dtype of the largest value", () => {
    // Far away in bfloat16, which has the range of float32.
    expect(after([10, 8, 6, 4], "bfloat16")).toEqual([]);
    expect(after([10, 8, 6, 4])[0].dtype).toBe("float16");
    const largest = { value: 1, dtype: "float32", index: [], image: null };
    const forecaster = new Forecaster();
    for (const step of [1, 2, 3, 4])
      expect(
        forecaster.add({
          step,
          scale: 1,
          gradient: [],
          forward: [{ ...module("a", 10 - 2 * step, "float32 float16"), largest }],
        }),
      ).toEqual([]);
    expect(after([-80, -90, -100, -110], "bfloat16")[0].dtype).toBe("bfloat16");
  });

  it("of gradients does not take a new loss scale for growth", () => {
    const forecaster = new Forecaster();
    const scaled = (step: number, bits: number, scale: number): ForecastRecord[] =>
      forecaster.add({ step, scale, forward: [], gradient: [module("a", bits, "float16")] });
    // The scale doubles each time, and the gradients with it.
    const all = [10, 9, 8, 7, 6].map((bits, i) => scaled(i + 1, bits, 2 ** i));
    expect(all.flat()).toEqual([]);
    const growing = new Forecaster();
    const last = [8, 6, 6, 4].map((bits, i) =>
      growing.add({ step: i + 1, scale: i < 2 ? 4 : 1, forward: [], gradient: [module("a", bits)] }),
    )[3];
    expect(last[0].steps).toBeCloseTo(2, 9);
  });

  it("of several modules names the soonest first", () => {
    const forecaster = new Forecaster();
    const [last] = [0, 1, 2, 3]
      .map((i) =>
        forecaster.add({
          step: i + 1,
          scale: 1,
          forward: [module("late", 10 - i), module("soon", 10 - 2 * i)],
          gradient: [],
        }),
      )
      .slice(-1);
    expect(last.map(({ path }) => path)).toEqual(["soon", "late"]);
  });
});
