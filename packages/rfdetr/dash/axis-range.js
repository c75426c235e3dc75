// @ts-check
// Where the axis below a chart begins and ends.

/**
 * From the first to the last point; the only one stands in the middle, with its number alone.
 * @param {{data: readonly unknown[]}} plot what it shows: the first column is that of the axis
 * @param {number} min @param {number} max @returns {[number, number]}
 */
export function rangeAcross({ data }, min, max) {
  const x = /** @type {ArrayLike<number>} */ (data[0]);
  return x.length === 1 ? [x[0] - 0.5, x[0] + 0.5] : [min, max];
}
