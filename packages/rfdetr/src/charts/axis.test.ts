import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linearAxis, logAxis, placeOn, power, shortNumber } from "./axis.js";

const written = ({ ticks, write }: ReturnType<typeof linearAxis>): string[] => ticks.map(write);

describe("axes", () => {
  it("end at round numbers and hold all values", () => {
    expect(linearAxis([0, 0.031, 0.58]).ticks).toEqual([0, 0.2, 0.4, 0.6]);
    expect(linearAxis([3, 3]).ticks[0]).toBeLessThanOrEqual(3);
    expect(linearAxis([]).ticks.length).toBeGreaterThan(1);
    expect(linearAxis([Number.NaN, 5, Number.POSITIVE_INFINITY]).to).toBeGreaterThanOrEqual(5);
    expect(logAxis([65536], { base: 2 }).to).toBeGreaterThanOrEqual(65536);
  });

  it("have ticks within them that differ as numbers and as text, whatever the values are", () => {
    const number = fc
      .tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: -30, max: 9 }))
      .map(([digits, exponent]) => Number(`${digits}e${exponent}`));
    fc.assert(
      fc.property(fc.array(number), fc.boolean(), fc.boolean(), fc.boolean(), (values, log, tight, whole) => {
        const axis = log ? logAxis(values) : linearAxis(values, { tight, whole });
        const shown = values.filter((value) => !log || value > 0);
        // What one pixel does not show.
        const slack = log ? axis.from * 1e-8 : (axis.to - axis.from) * 1e-8;
        for (const value of shown) {
          expect(value).toBeGreaterThanOrEqual(axis.from - slack);
          expect(value).toBeLessThanOrEqual(axis.to + slack);
        }
        for (const tick of axis.ticks) expect(placeOn(axis, tick)).not.toBeNaN();
        expect(new Set(written(axis)).size).toBe(axis.ticks.length);
        expect(axis.ticks.length).toBeLessThan(20);
      }),
    );
  });

  it("have powers of ten as ticks, with doubles and fives where these are few, and sums over few factors", () => {
    expect(logAxis([0, 3e-4, 0.2]).ticks).toEqual([1e-3, 1e-2, 0.1]);
    expect(logAxis([4.6, 120]).ticks).toEqual([2, 5, 10, 20, 50, 100, 200]);
    expect(logAxis([12, 35]).ticks).toEqual([15, 20, 25, 30, 35]);
    expect(logAxis([12, 35])).toMatchObject({ from: 12, to: 35, log: true });
  });

  it("may end at the values, and may count", () => {
    expect(linearAxis([1, 24], { tight: true, whole: true })).toMatchObject({
      from: 1,
      to: 24,
      ticks: [5, 10, 15, 20],
    });
    expect(linearAxis([1, 3], { whole: true }).ticks).toEqual([1, 2, 3]);
  });

  it("write all their numbers with the same decimals, in the unit of the largest", () => {
    expect(written(linearAxis([0, 1]))).toEqual(["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
    expect(written(linearAxis([-20_000, 5000]))).toEqual(["−20k", "−15k", "−10k", "−5k", "0", "5k"]);
    expect(written(linearAxis([12_340, 12_350]))).toEqual([
      "12.340k",
      "12.342k",
      "12.344k",
      "12.346k",
      "12.348k",
      "12.350k",
    ]);
    expect(written(linearAxis([0, 1e-3]))).toEqual(["0", "2e-4", "4e-4", "6e-4", "8e-4", "1e-3"]);
    expect(written(logAxis([2 ** 14, 2 ** 16], { base: 2 }))).toEqual(["2¹⁴", "2¹⁵", "2¹⁶"]);
  });

  it("have no place for what a logarithm lacks, and put what lies beyond at their ends", () => {
    const axis = logAxis([1, 1000]);
    expect([0, -1, Number.NaN].map((value) => placeOn(axis, value))).toEqual([Number.NaN, Number.NaN, Number.NaN]);
    expect([0.1, 1, 10 ** 1.5, 1e4].map((value) => placeOn(axis, value))).toEqual([0, 0, expect.closeTo(0.5), 1]);
  });
});

describe("numbers", () => {
  it("are written short", () => {
    expect([0, 0.00015, 0.25, 12, 65536, -2_500_000].map(shortNumber)).toEqual([
      ...["0", "1.5e-4", "0.25", "12", "65.5k", "−2.5M"],
    ]);
    expect([power(10, -12), power(2, 7)]).toEqual(["10⁻¹²", "2⁷"]);
  });
});
