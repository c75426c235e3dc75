import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLOAT32_MAX, LinearAssignmentSolver, linearSumAssignment, sanitizeCosts } from "./linear-assignment.js";

interface Golden {
  seed: number;
  rows: number;
  columns: number;
  levels: number;
  row_index: number[];
  column_index: number[];
}

const goldens: Golden[] = JSON.parse(readFileSync(new URL("./fixtures/assignment.json", import.meta.url), "utf8"));

function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

function bruteForce(costs: ArrayLike<number>, rows: number, columns: number): number {
  const cost = (small: number, large: number) =>
    rows <= columns ? costs[small * columns + large] : costs[large * columns + small];
  const [short, long] = rows <= columns ? [rows, columns] : [columns, rows];
  const used = new Array<boolean>(long).fill(false);
  const best = (i: number): number => {
    if (i === short) return 0;
    let least = Number.POSITIVE_INFINITY;
    for (let j = 0; j < long; j++) {
      if (used[j]) continue;
      used[j] = true;
      least = Math.min(least, cost(i, j) + best(i + 1));
      used[j] = false;
    }
    return least;
  };
  return best(0);
}

const problem = fc
  .tuple(
    fc.integer({ min: 1, max: 6 }),
    fc.integer({ min: 1, max: 6 }),
    fc.constantFrom("integer" as const, "real" as const),
  )
  .chain(([rows, columns, kind]) =>
    fc.record({
      rows: fc.constant(rows),
      columns: fc.constant(columns),
      costs: fc
        .array(kind === "integer" ? fc.integer({ min: -3, max: 3 }) : fc.double({ min: -100, max: 100, noNaN: true }), {
          minLength: rows * columns,
          maxLength: rows * columns,
        })
        .map((values) => Float64Array.from(values)),
    }),
  );

describe("linear sum assignment", () => {
  it("finds the pairs of SciPy, ties included", () => {
    for (const golden of goldens) {
      const random = mulberry32(golden.seed);
      const costs = Float64Array.from({ length: golden.rows * golden.columns }, () => {
        const value = random();
        return golden.levels === 0 ? value * 20 - 5 : Math.floor(value * golden.levels);
      });
      const { rows, columns } = linearSumAssignment(costs, golden.rows, golden.columns);
      expect([golden.seed, ...rows]).toEqual([golden.seed, ...golden.row_index]);
      expect([golden.seed, ...columns]).toEqual([golden.seed, ...golden.column_index]);
    }
  });

  it("is a one-to-one assignment of least total cost (brute force)", () => {
    fc.assert(
      fc.property(problem, ({ rows, columns, costs }) => {
        const pairs = linearSumAssignment(costs, rows, columns);
        expect(pairs.rows.length).toBe(Math.min(rows, columns));
        expect(new Set(pairs.columns).size).toBe(pairs.columns.length);
        expect([...pairs.rows]).toEqual([...pairs.rows].sort((a, b) => a - b));
        const total = pairs.rows.reduce((sum, row, k) => sum + costs[row * columns + pairs.columns[k]], 0);
        // The duals are sums of a handful of float64 costs up to 100.
        expect(total).toBeCloseTo(bruteForce(costs, rows, columns), 9);
      }),
      { numRuns: 300 },
    );
  });

  it("reads a block of a larger matrix through an offset and strides, from float32 or float64", () => {
    const random = mulberry32(7);
    const whole = Float32Array.from({ length: 20 * 15 }, random);
    const solver = new LinearAssignmentSolver();
    // Rows 4 to 13 and columns 2 to 7 of the matrix, then the same block transposed.
    const block = Float64Array.from({ length: 10 * 6 }, (_, i) => whole[(4 + Math.floor(i / 6)) * 15 + 2 + (i % 6)]);
    const expected = linearSumAssignment(block, 10, 6);
    expect(solver.solve(whole, 10, 6, 4 * 15 + 2, 15, 1)).toBe(6);
    expect(solver.rows.slice(0, 6)).toEqual(expected.rows);
    expect(solver.columns.slice(0, 6)).toEqual(expected.columns);
    expect(solver.solve(whole, 6, 10, 4 * 15 + 2, 1, 15)).toBe(6);
    const byRow = [...expected.columns].map((column, k) => [column, expected.rows[k]]).sort((a, b) => a[0] - b[0]);
    expect([...solver.rows.slice(0, 6)].map((row, k) => [row, solver.columns[k]])).toEqual(byRow);
  });

  it("is not affected by earlier problems", () => {
    const solver = new LinearAssignmentSolver();
    const random = mulberry32(3);
    for (const [rows, columns] of [
      [30, 40],
      [3, 2],
      [1, 50],
      [17, 17],
    ]) {
      const costs = Float64Array.from({ length: rows * columns }, random);
      const count = solver.solve(costs, rows, columns);
      expect(solver.columns.slice(0, count)).toEqual(linearSumAssignment(costs, rows, columns).columns);
    }
  });

  it("returns no pairs for an image without targets", () => {
    expect(linearSumAssignment(new Float64Array(0), 300, 0)).toEqual({
      rows: new Int32Array(0),
      columns: new Int32Array(0),
    });
    expect(linearSumAssignment(new Float64Array(0), 0, 5).rows.length).toBe(0);
  });

  it("avoids infinite costs, and throws if it cannot", () => {
    const inf = Number.POSITIVE_INFINITY;
    expect([...linearSumAssignment(Float64Array.of(inf, 1, 2, inf), 2, 2).columns]).toEqual([1, 0]);
    expect(() => linearSumAssignment(Float64Array.of(inf, inf, 2, 3), 2, 2)).toThrow(/block every pairing/);
    expect(() => linearSumAssignment(Float64Array.of(1, Number.NaN), 1, 2)).toThrow(
      expect.objectContaining({ code: "ERR_ASSIGNMENT_INVALID" }),
    );
    expect(() => linearSumAssignment(Float64Array.of(1, -inf), 1, 2)).toThrow(/received -Infinity at flat index 1/);
  });
});

describe("non-finite costs", () => {
  it("become larger than every finite cost by at least one", () => {
    const costs = Float32Array.of(-3, Number.NaN, -7, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY);
    expect(sanitizeCosts(costs)).toBe(3);
    // The largest finite cost is -3 and the largest magnitude is 7.
    expect([...costs]).toEqual([-3, 5, -7, 5, 5]);
  });

  it("leave finite costs unchanged", () => {
    const costs = Float64Array.of(1, 2);
    expect(sanitizeCosts(costs)).toBe(0);
    expect([...costs]).toEqual([1, 2]);
    expect(sanitizeCosts(new Float32Array(0))).toBe(0);
  });

  it("are capped at the largest float32, also if no cost is finite", () => {
    expect(Math.fround(FLOAT32_MAX)).toBe(FLOAT32_MAX);
    const large = Float32Array.of(3e38, Number.NaN);
    sanitizeCosts(large);
    expect([...large]).toEqual([Math.fround(3e38), FLOAT32_MAX]);
    const none = Float32Array.of(Number.NaN, Number.POSITIVE_INFINITY);
    sanitizeCosts(none);
    expect([...none]).toEqual([FLOAT32_MAX, FLOAT32_MAX]);
    expect(linearSumAssignment(none, 1, 2).columns.length).toBe(1);
  });
});
