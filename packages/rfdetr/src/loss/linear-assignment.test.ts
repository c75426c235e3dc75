import { readFileSync } from "node:fs";
import { ops, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { linearSumAssignment } from "./linear-assignment.js";

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

  it("solves many problems at once, each with its own number of columns, and pads with -1", () => {
    const random = mulberry32(7);
    const [problems, rows, most] = [70, 30, 7];
    const costs = Float32Array.from({ length: problems * rows * most }, random);
    const used = Array.from({ length: problems }, (_, p) => p % (most + 1));
    const [foundRows, foundColumns, fault] = ops.linearSumAssignment(tensor(costs, { shape: [problems, rows, most] }), {
      columns: used,
    });
    expect(fault).toBe(-1);
    for (const [p, own] of used.entries()) {
      const alone = Float64Array.from({ length: rows * own }, (_, i) => {
        const [row, column] = [Math.floor(i / own), i % own];
        return costs[(p * rows + row) * most + column];
      });
      const expected = linearSumAssignment(alone, rows, own);
      const padding = new Array<number>(most - own).fill(-1);
      expect([...foundRows.select(0, p).toArray()]).toEqual([...expected.rows, ...padding]);
      expect([...foundColumns.select(0, p).toArray()]).toEqual([...expected.columns, ...padding]);
    }
  });

  it("gives the pairs of the transposed problem", () => {
    const random = mulberry32(11);
    const costs = Float64Array.from({ length: 10 * 6 }, random);
    const turned = Float64Array.from({ length: 60 }, (_, i) => costs[(i % 10) * 6 + Math.floor(i / 10)]);
    const [tall, wide] = [linearSumAssignment(costs, 10, 6), linearSumAssignment(turned, 6, 10)];
    const byRow = [...wide.columns].map((row, column) => [row, column]).sort((a, b) => a[0] - b[0]);
    expect([...tall.rows].map((row, k) => [row, tall.columns[k]])).toEqual(byRow);
  });

  it("is not affected by earlier problems", () => {
    const random = mulberry32(3);
    const sizes = [
      [30, 40],
      [3, 2],
      [1, 50],
      [17, 17],
    ];
    const problems = sizes.map(([rows, columns]) => Float64Array.from({ length: rows * columns }, random));
    const solve = (k: number) => linearSumAssignment(problems[k], sizes[k][0], sizes[k][1]);
    const inOrder = sizes.map((_, k) => solve(k));
    for (const k of [3, 0, 2, 1]) expect(solve(k)).toEqual(inOrder[k]);
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
  const [nan, inf, most] = [Number.NaN, Number.POSITIVE_INFINITY, 3.4028234663852886e38];
  /** Columns of the pairs, and how many costs were replaced. */
  const columnsOf = (costs: Float32Array | Float64Array, rows: number, columns: number) => {
    const given = tensor(costs, { shape: [1, rows, columns] });
    const [, found, fault, replaced] = ops.linearSumAssignment(given, { replaceNonFinite: true });
    expect(fault).toBe(-1);
    return { columns: [...found.toArray()], replaced };
  };

  it("count as one above all finite costs by at least one", () => {
    // The largest finite cost is -3 and the largest magnitude is 7, so those that are not finite count as 5.
    expect(columnsOf(Float32Array.of(-3, nan, -7, inf, -inf, 4.99), 1, 6)).toEqual({ columns: [2], replaced: 3 });
    // 5 + 5 are dearer than 5 - 7 and 0 + 0, and NaN on the diagonal is avoided.
    expect(columnsOf(Float32Array.of(nan, -3, -7, nan), 2, 2)).toEqual({ columns: [1, 0], replaced: 2 });
    expect(columnsOf(Float64Array.of(nan, 30, -7, 5), 2, 2)).toEqual({ columns: [1, 0], replaced: 1 });
  });

  it("leave finite costs as they are", () => {
    expect(columnsOf(Float64Array.of(1, 2, 2, 1), 2, 2)).toEqual({ columns: [0, 1], replaced: 0 });
    expect(columnsOf(new Float32Array(0), 0, 3)).toEqual({ columns: [], replaced: 0 });
  });

  it("are capped at the largest float32, also if no cost is finite", () => {
    expect(columnsOf(Float32Array.of(3e38, nan), 1, 2)).toEqual({ columns: [0], replaced: 1 });
    expect(columnsOf(Float32Array.of(nan, inf, inf, -inf), 2, 2)).toEqual({ columns: [0, 1], replaced: 4 });
    expect(columnsOf(Float32Array.of(most, most), 1, 2).replaced).toBe(0);
  });

  it("are counted over all problems", () => {
    const costs = tensor(Float32Array.of(1, 2, nan, 2, 1, 9), { shape: [3, 1, 2] });
    const [, columns, , replaced] = ops.linearSumAssignment(costs, { replaceNonFinite: true });
    expect([...columns.toArray()]).toEqual([0, 1, 0]);
    expect(replaced).toBe(1);
  });
});
