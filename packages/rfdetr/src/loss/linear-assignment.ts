// Linear sum assignment: pairs rows and columns of a cost matrix at the least total cost.
import { ops, scope, tensor } from "@rfdetr/torch";
import { AssignmentError } from "../support/errors.js";

/** A flat row-major cost matrix. */
export type CostArray = Float32Array | Float64Array;

/**
 * Solves one assignment problem: pairs rows and columns of a cost matrix at the least total cost. Tied problems give
 * the pairs of SciPy's `scipy.optimize.linear_sum_assignment`. The matcher hands all its problems to
 * `rfdetr::linear_sum_assignment` at once, which is what this function calls.
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
  return scope(() => {
    const [rows, columns, fault] = ops.linearSumAssignment(tensor(costs, { shape: [1, rowCount, columnCount] }));
    if (fault >= 0)
      throw new AssignmentError(
        "ERR_ASSIGNMENT_INVALID",
        `Expected costs that are numbers above -Infinity but received ${costs[fault]} at flat index ${fault}; replace it by a cost above all others`,
      );
    if (fault !== -1)
      throw new AssignmentError(
        "ERR_ASSIGNMENT_INFEASIBLE",
        "Expected costs that allow an assignment but infinite costs block every pairing; replace them by a cost above all others",
      );
    return { rows: rows.toArray() as Int32Array, columns: columns.toArray() as Int32Array };
  });
}
