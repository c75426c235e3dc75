// @ts-check
// What the chart of exponents holds, and where each value lies in it. Nothing is drawn here.
import { ranges } from "./headroom.js";

/** @import { ExponentMap, Forecast } from "../src/dash/wire.js" */
/** @import { Dtype } from "./headroom.js" */

/**
 * What is drawn.
 * @typedef {object} Chart
 * @property {ExponentMap} map
 * @property {(number | null)[]} top log2 of the largest value at each watched step; null where that is not finite or
 * zero
 * @property {Dtype} dtype whose limits are drawn
 * @property {Dtype[]} dtypes of each watched step
 * @property {number} at the watched step that the side histogram shows
 * @property {Forecast | null} forecast
 */

const margin = { left: 54, top: 14, bottom: 30 };

/**
 * The scales of a chart. `edges` are the steps at which the columns begin, and at which the last one ends: half-way
 * between two watched steps. @param {Chart} chart @param {number} width @param {number} height
 */
export function scalesOf({ map, top, dtype, forecast }, width, height) {
  const { steps, first, rows } = map;
  const last = steps.at(-1) ?? 0;
  const gap = steps.length > 1 ? (last - steps[0]) / (steps.length - 1) : Math.max(1, last);
  const crossing = forecast === null ? null : last + forecast.steps;
  const limits = ranges[dtype];
  const isNear = limits.top < 20;
  const tops = /** @type {number[]} */ (top.filter((value) => value !== null));
  const highest = Math.max(first + rows, ...tops, isNear ? limits.top + 1.5 : first + rows + 2);
  const lowest = Math.min(rows === 0 ? 0 : first, isNear ? limits.zero - 1 : first);
  // There is no step before the first.
  const from = Math.max(0, (steps[0] ?? 0) - gap / 2);
  const to = crossing === null ? last : Math.max(last, crossing + (crossing - from) * 0.04);
  const plot = {
    left: margin.left,
    top: margin.top,
    width: width - margin.left - (width < 500 ? 60 : 118),
    height: height - margin.top - margin.bottom,
  };
  const edges = [from, ...steps.slice(1).map((step, i) => (steps[i] + step) / 2), last];
  return {
    ...{ plot, edges, from, to, highest, lowest, crossing, limits, isNear },
    x: (/** @type {number} */ step) => plot.left + ((step - from) / Math.max(1e-9, to - from)) * plot.width,
    y: (/** @type {number} */ exponent) =>
      plot.top + ((highest - exponent) / Math.max(1, highest - lowest)) * plot.height,
  };
}
