// @ts-check
// What runs of several seeds have in common.

/** @param {readonly number[]} list */
export const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;

/** The deviation of a sample; 0 of one value. @param {readonly number[]} list */
export const deviation = (list) =>
  Math.sqrt(list.reduce((sum, v) => sum + (v - mean(list)) ** 2, 0) / Math.max(1, list.length - 1));
