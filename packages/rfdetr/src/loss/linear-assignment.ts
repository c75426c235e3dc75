// Linear sum assignment by successive shortest augmenting paths (Jonker and Volgenant 1987; the rectangular form of
// Crouse 2016, "On implementing 2D rectangular assignment algorithms", IEEE TAES 52(4)).
//
// Costs, duals and path lengths are float64. Ties resolve to the same pairs as in SciPy's `linear_sum_assignment`,
// whose order this file follows: rows are assigned in ascending order, columns are scanned from the last to the first,
// and among equally near columns a free one wins.
import { AssignmentError } from "../support/errors.js";

/** A flat cost matrix. Entry (row, column) is at `offset + row * rowStride + column * columnStride`. */
export type CostArray = Float32Array | Float64Array;

/**
 * The largest finite float32. The replacement for non-finite costs is capped at it.
 * @internal for tests
 */
export const FLOAT32_MAX = 3.4028234663852886e38;

/**
 * Replaces NaN and infinite costs in place by max(c) + max|c| + 1 over the finite costs c, so that every finite cost is
 * preferred to them. The sum is computed in the dtype of the array and capped at the largest float32. Without any
 * finite cost, the replacement is the largest float32. Source: `rfdetr.models.matcher: HungarianMatcher`.
 * @returns the number of replaced entries
 */
export function sanitizeCosts(costs: CostArray): number {
  let bad = 0;
  let largest = Number.NEGATIVE_INFINITY;
  let largestMagnitude = 0;
  for (let i = 0; i < costs.length; i++) {
    const cost = costs[i];
    // Infinity - Infinity and NaN - NaN are NaN, so this holds for exactly the finite values.
    if (cost - cost === 0) {
      if (cost > largest) largest = cost;
      const magnitude = cost < 0 ? -cost : cost;
      if (magnitude > largestMagnitude) largestMagnitude = magnitude;
    } else bad++;
  }
  if (bad === 0) return 0;
  let replacement = FLOAT32_MAX;
  if (bad < costs.length) {
    const sum =
      costs instanceof Float32Array
        ? Math.fround(Math.fround(largest + largestMagnitude) + 1)
        : largest + largestMagnitude + 1;
    replacement = Math.min(sum, FLOAT32_MAX);
  }
  for (let i = 0; i < costs.length; i++) {
    if (costs[i] - costs[i] !== 0) costs[i] = replacement;
  }
  return bad;
}

/**
 * Solves assignment problems one after the other and reuses its work arrays, which grow to the largest problem so far.
 * The pairs of the last problem are `rows[0..count)`, in ascending order, and `columns[0..count)`.
 */
export class LinearAssignmentSolver {
  /** Row of each pair, ascending; valid up to the count that {@link solve} returned, until the next call. */
  rows = new Int32Array(0);
  /** Column of each pair, aligned with {@link rows}. */
  columns = new Int32Array(0);

  #costs = new Float64Array(0);
  // Sized by the shorter side.
  #rowDual = new Float64Array(0);
  #columnOfRow = new Int32Array(0);
  #visitedRows = new Int32Array(0);
  // Sized by the longer side.
  #columnDual = new Float64Array(0);
  #rowOfColumn = new Int32Array(0);
  #distance = new Float64Array(0);
  #predecessor = new Int32Array(0);
  #open = new Int32Array(0);

  /**
   * Finds the pairs of least total cost. Each row is used once, or each column if there are fewer columns.
   * @param costs flat costs, of which only the entries of this problem are read
   * @param rowCount number of rows, 0 or more
   * @param columnCount number of columns, 0 or more
   * @param offset index of entry (0, 0)
   * @param rowStride distance between the entries of neighbouring rows
   * @param columnStride distance between the entries of neighbouring columns
   * @returns the number of pairs, `min(rowCount, columnCount)`
   * @throws AssignmentError if an entry is NaN or -Infinity, or if every assignment has an infinite cost
   */
  solve(
    costs: CostArray,
    rowCount: number,
    columnCount: number,
    offset = 0,
    rowStride = columnCount,
    columnStride = 1,
  ): number {
    const count = Math.min(rowCount, columnCount);
    if (count === 0) return 0;
    const transposed = columnCount < rowCount;
    const width = transposed ? rowCount : columnCount;
    this.#reserve(count, width);
    const majorStride = transposed ? columnStride : rowStride;
    const minorStride = transposed ? rowStride : columnStride;
    this.#load(costs, count, width, offset, majorStride, minorStride);
    for (let row = 0; row < count; row++) this.#augment(row, width);

    if (transposed) {
      let pair = 0;
      for (let column = 0; column < width; column++) {
        if (this.#rowOfColumn[column] < 0) continue;
        this.rows[pair] = column;
        this.columns[pair++] = this.#rowOfColumn[column];
      }
    } else {
      for (let row = 0; row < count; row++) {
        this.rows[row] = row;
        this.columns[row] = this.#columnOfRow[row];
      }
    }
    return count;
  }

  #reserve(count: number, width: number): void {
    if (this.#rowDual.length < count) {
      const size = Math.max(count, 2 * this.#rowDual.length);
      this.#rowDual = new Float64Array(size);
      this.#columnOfRow = new Int32Array(size);
      this.#visitedRows = new Int32Array(size);
      this.rows = new Int32Array(size);
      this.columns = new Int32Array(size);
    }
    if (this.#columnDual.length < width) {
      const size = Math.max(width, 2 * this.#columnDual.length);
      this.#columnDual = new Float64Array(size);
      this.#rowOfColumn = new Int32Array(size);
      this.#distance = new Float64Array(size);
      this.#predecessor = new Int32Array(size);
      this.#open = new Int32Array(size);
    }
    if (this.#costs.length < count * width)
      this.#costs = new Float64Array(Math.max(count * width, 2 * this.#costs.length));
    this.#rowDual.fill(0, 0, count);
    this.#columnDual.fill(0, 0, width);
    this.#columnOfRow.fill(-1, 0, count);
    this.#rowOfColumn.fill(-1, 0, width);
  }

  /** Copies the problem into contiguous float64 rows, so that the search needs no strides and no dtype. */
  #load(
    costs: CostArray,
    count: number,
    width: number,
    offset: number,
    majorStride: number,
    minorStride: number,
  ): void {
    const own = this.#costs;
    for (let row = 0, to = 0; row < count; row++) {
      for (let column = 0, from = offset + row * majorStride; column < width; column++, from += minorStride) {
        const cost = costs[from];
        if (!(cost > Number.NEGATIVE_INFINITY)) {
          throw new AssignmentError(
            "ERR_ASSIGNMENT_INVALID",
            `Expected costs that are numbers above -Infinity but received ${cost} at flat index ${from}; replace non-finite costs with sanitizeCosts first`,
          );
        }
        own[to++] = cost;
      }
    }
  }

  /** Adds row `start` to the matching along the shortest path to a free column, and updates the duals. */
  #augment(start: number, width: number): void {
    const costs = this.#costs;
    const rowDual = this.#rowDual;
    const columnDual = this.#columnDual;
    const rowOfColumn = this.#rowOfColumn;
    const columnOfRow = this.#columnOfRow;
    const distance = this.#distance;
    const predecessor = this.#predecessor;
    const open = this.#open;
    const visitedRows = this.#visitedRows;

    for (let k = 0; k < width; k++) {
      open[k] = width - 1 - k;
      distance[k] = Number.POSITIVE_INFINITY;
    }
    let openCount = width;
    let visited = 0;
    let reach = 0;
    let row = start;
    let sink = -1;
    while (sink < 0) {
      visitedRows[visited++] = row;
      const base = row * width;
      const dual = rowDual[row];
      let nearest = Number.POSITIVE_INFINITY;
      let at = -1;
      for (let k = 0; k < openCount; k++) {
        const column = open[k];
        const length = reach + costs[base + column] - dual - columnDual[column];
        let best = distance[column];
        if (length < best) {
          predecessor[column] = row;
          distance[column] = best = length;
        }
        if (best < nearest || (best === nearest && rowOfColumn[column] < 0)) {
          nearest = best;
          at = k;
        }
      }
      if (nearest === Number.POSITIVE_INFINITY) {
        throw new AssignmentError(
          "ERR_ASSIGNMENT_INFEASIBLE",
          "Expected costs that allow an assignment but infinite costs block every pairing; replace them with sanitizeCosts first",
        );
      }
      reach = nearest;
      const column = open[at];
      // Closed columns collect behind openCount, so they need no list of their own.
      open[at] = open[--openCount];
      open[openCount] = column;
      if (rowOfColumn[column] < 0) sink = column;
      else row = rowOfColumn[column];
    }

    rowDual[start] += reach;
    for (let k = 1; k < visited; k++) {
      const other = visitedRows[k];
      rowDual[other] += reach - distance[columnOfRow[other]];
    }
    for (let k = openCount; k < width; k++) {
      const column = open[k];
      columnDual[column] -= reach - distance[column];
    }

    let column = sink;
    for (;;) {
      const from = predecessor[column];
      rowOfColumn[column] = from;
      const previous = columnOfRow[from];
      columnOfRow[from] = column;
      if (from === start) break;
      column = previous;
    }
  }
}

/**
 * Solves one assignment problem: pairs rows and columns of a cost matrix at the least total cost. Tied problems give
 * the pairs of SciPy's `scipy.optimize.linear_sum_assignment`.
 * @param costs flat row-major costs `[rowCount, columnCount]`
 * @param rowCount number of rows, 0 or more
 * @param columnCount number of columns, 0 or more
 * @returns the row (ascending) and the column of each of the `min(rowCount, columnCount)` pairs
 * @throws AssignmentError if a cost is NaN or -Infinity, or if every assignment has an infinite cost
 * @example
 * import { linearSumAssignment } from "rfdetr/loss";
 * const { rows, columns } = linearSumAssignment(Float64Array.of(4, 1, 2, 3), 2, 2); // rows [0, 1], columns [1, 0]
 */
export function linearSumAssignment(
  costs: CostArray,
  rowCount: number,
  columnCount: number,
): { rows: Int32Array; columns: Int32Array } {
  const solver = new LinearAssignmentSolver();
  const count = solver.solve(costs, rowCount, columnCount);
  return { rows: solver.rows.slice(0, count), columns: solver.columns.slice(0, count) };
}
