import { describe, expect, it } from "vitest";
import { bestPairs } from "./best-pairs.js";

/** The greatest sum over all ways to pair, one by one. */
function greatest(values: readonly (readonly number[])[], row = 0, used: readonly number[] = []): number {
  if (row === values.length) return 0;
  const free = values[row].map((_, column) => column).filter((column) => !used.includes(column));
  const sums = free.map((column) => values[row][column] + greatest(values, row + 1, [...used, column]));
  if (values.length > values[0].length) sums.push(greatest(values, row + 1, used));
  return Math.max(...sums);
}

describe("pairs of rows and columns", () => {
  it.each([
    [[], []],
    [[[]], [-1]],
    [[[0.2, 0.9]], [1]],
    [
      [[0.2], [0.9]],
      [-1, 0],
    ],
    [
      [
        [0.9, 0.8],
        [0.8, 0.1],
      ],
      [1, 0],
    ],
  ])("of %j are %j", (values: number[][], expected) => {
    expect(bestPairs(values)).toEqual(expected);
  });

  it("have the greatest sum of all ways, for every shape up to five", () => {
    let state = 1;
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 24) / 256;
    };
    for (let rows = 1; rows <= 5; rows++)
      for (let columns = 1; columns <= 5; columns++)
        for (let n = 0; n < 10; n++) {
          const values = Array.from({ length: rows }, () => Array.from({ length: columns }, random));
          const pairs = bestPairs(values);
          const sum = pairs.reduce((total, column, row) => total + (column < 0 ? 0 : values[row][column]), 0);
          expect(sum).toBeCloseTo(greatest(values), 12);
          const used = pairs.filter((column) => column >= 0);
          expect(new Set(used).size).toBe(Math.min(rows, columns));
        }
  });
});
