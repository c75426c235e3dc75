import { describe, expect, it } from "vitest";
import { append, largestOf, smallestOf } from "./lists.js";

const many = Array.from({ length: 300_000 }, (_, i) => i);

describe("lists of any length", () => {
  it("are added to a list", () => {
    const list = [7];
    append(list, many);
    expect(list).toEqual([7, ...many]);
  });

  it("have a largest and a smallest number", () => {
    expect([largestOf(many), smallestOf(many)]).toEqual([299_999, 0]);
    expect([largestOf(many, 1e6), largestOf([], 0)]).toEqual([1e6, 0]);
    expect([largestOf([]), smallestOf([])]).toEqual([Math.max(), Math.min()]);
    expect([largestOf([1, Number.NaN, 2]), smallestOf([Number.NaN, 2])]).toEqual([Number.NaN, Number.NaN]);
  });
});
