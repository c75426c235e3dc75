// @ts-check
// Draws where the values of a module lie over time: a column a watched step, a row a power of two, darker where more
// values are; with the limits of the dtype, the largest value, and where it is foreseen to go.
import { drawing, styleValue } from "./dom.js";
import { scalesOf } from "./exponent-scales.js";
import { powerOfTwo, whole } from "./format.js";

/** @import { Chart } from "./exponent-scales.js" */

/** @param {HTMLCanvasElement} canvas @param {Chart} chart */
export function drawExponents(canvas, chart) {
  const drawn = drawing(canvas);
  if (drawn === null) return;
  const { context, width, height } = drawn;
  const scales = scalesOf(chart, width, height);
  context.font = `11px ${styleValue("--font")}`;
  context.textBaseline = "middle";
  zones(context, scales);
  cells(context, chart, scales);
  axes(context, chart, scales);
  line(context, chart, scales);
  beside(context, chart, scales, width);
}

/**
 * The zones beyond the limits.
 * @param {CanvasRenderingContext2D} context
 * @param {ReturnType<typeof scalesOf>} scales
 */
function zones(context, { plot, y, limits, isNear }) {
  if (!isNear) return;
  const zone = (/** @type {number} */ from, /** @type {number} */ to, /** @type {string} */ color) => {
    const [high, low] = [Math.max(plot.top, from), Math.min(plot.top + plot.height, to)];
    if (low <= high) return;
    context.fillStyle = styleValue(color);
    context.fillRect(plot.left, high, plot.width, low - high);
  };
  zone(plot.top, y(limits.top), "--zone-over");
  zone(y(limits.normal), y(limits.zero), "--zone-subnormal");
  zone(y(limits.zero), plot.top + plot.height, "--zone-lost");
}

/** @param {CanvasRenderingContext2D} context @param {Chart} chart @param {ReturnType<typeof scalesOf>} scales */
function cells(context, { map, at, dtype, dtypes }, { x, y, edges, limits, isNear }) {
  const [ink, over, lost] = ["--density", "--density-over", "--density-lost"].map(styleValue);
  for (const [i, shares] of map.shares.entries()) {
    // Whole pixels: neighbours that overlap would show as lines.
    const left = Math.round(x(edges[i]));
    const right = Math.max(left + 1, Math.round(x(edges[i + 1])));
    const isLimited = isNear && dtypes[i] === dtype;
    for (const [row, share] of shares.entries()) {
      if (share < 0) continue;
      const exponent = map.first + row;
      // One value in 65536 is the least that is sampled: it must still be seen.
      context.globalAlpha = 0.1 + 0.9 * Math.max(0, 1 - share / 16 / 16) ** 1.4;
      context.fillStyle =
        isLimited && exponent + 1 > limits.top + 0.01 ? over : isLimited && exponent < limits.zero ? lost : ink;
      const [high, low] = [Math.round(y(exponent + 1)), Math.round(y(exponent))];
      context.fillRect(left, high, right - left, low - high);
    }
  }
  context.globalAlpha = 1;
  context.strokeStyle = styleValue("--accent");
  context.lineWidth = 1;
  context.strokeRect(
    x(edges[at]),
    y(map.first + map.rows),
    Math.max(2, x(edges[at + 1]) - x(edges[at])),
    y(map.first) - y(map.first + map.rows),
  );
}

/** @param {CanvasRenderingContext2D} context @param {Chart} chart @param {ReturnType<typeof scalesOf>} scales */
function axes(context, { map, dtype, dtypes }, scales) {
  const { plot, x, y, edges, from, to, highest, lowest, limits, isNear, crossing } = scales;
  const [quiet, rule] = [styleValue("--quiet"), styleValue("--line")];
  context.fillStyle = quiet;
  context.strokeStyle = rule;
  context.lineWidth = 1;
  context.textAlign = "right";
  const every = highest - lowest > 60 ? 16 : 4;
  for (let exponent = Math.ceil(lowest / every) * every; exponent <= highest; exponent += every)
    if (!isNear || Math.abs(exponent - limits.top) > 1.4)
      context.fillText(powerOfTwo(exponent), plot.left - 8, y(exponent));
  context.textAlign = "center";
  const last = map.steps.at(-1) ?? 0;
  const between = roundStep((to - from) / Math.max(2, plot.width / 100));
  for (let step = Math.ceil(from / between) * between; step <= to; step += between) {
    const near = (crossing !== null && Math.abs(x(step) - x(crossing)) < 46) || plot.left + plot.width - x(step) < 18;
    if (!near) context.fillText(whole(step), x(step), plot.top + plot.height + 16);
  }
  if (isNear) {
    const mark = (/** @type {number} */ exponent, /** @type {string} */ color, /** @type {number[]} */ dash) => {
      context.strokeStyle = styleValue(color);
      context.setLineDash(dash);
      context.beginPath();
      context.moveTo(plot.left, y(exponent));
      context.lineTo(plot.left + plot.width, y(exponent));
      context.stroke();
      context.setLineDash([]);
    };
    mark(limits.top, "--level-0", []);
    mark(limits.normal, "--quiet", [2, 3]);
    mark(limits.zero, "--quiet", [2, 3]);
    context.textAlign = "right";
    context.fillStyle = styleValue("--level-0-text");
    context.fillText(whole(65504), plot.left - 8, y(limits.top));
    context.textAlign = "left";
    context.fillText(`${dtype} overflows`, plot.left + 6, y(limits.top) - 9);
    context.fillStyle = quiet;
    context.fillText("loses bits below", plot.left + 6, y(limits.normal) + 9);
    context.fillText("becomes zero below", plot.left + 6, y(limits.zero) + 9);
  }
  const upright = (/** @type {number} */ step) => {
    context.strokeStyle = styleValue("--quiet");
    context.setLineDash([3, 3]);
    context.beginPath();
    context.moveTo(x(step), plot.top);
    context.lineTo(x(step), plot.top + plot.height);
    context.stroke();
    context.setLineDash([]);
  };
  if (crossing !== null) upright(last);
  // A rule of precision changed the dtype while the run went on.
  for (const [i, each] of dtypes.entries()) {
    if (i === 0 || each === dtypes[i - 1]) continue;
    upright(edges[i]);
    context.fillStyle = styleValue("--ink");
    context.textAlign = "left";
    context.fillText(`${each} from here`, x(edges[i]) + 5, plot.top + plot.height - 12);
  }
}

/** The next of 1, 2 and 5 times a power of ten. @param {number} least */
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  return power * ([1, 2, 5].find((times) => times * power >= least) ?? 10);
}

/**
 * The largest value, and where it goes.
 * @param {CanvasRenderingContext2D} context
 * @param {Chart} chart
 * @param {ReturnType<typeof scalesOf>} scales
 */
function line(context, { map, top }, { plot, x, y, crossing, limits }) {
  context.strokeStyle = styleValue("--ink");
  context.lineWidth = 1.75;
  context.lineJoin = "round";
  context.beginPath();
  let isOn = false;
  for (const [i, value] of top.entries()) {
    if (value !== null) isOn ? context.lineTo(x(map.steps[i]), y(value)) : context.moveTo(x(map.steps[i]), y(value));
    isOn = value !== null;
  }
  context.stroke();
  const last = top.at(-1);
  if (crossing === null || last === null || last === undefined) return;
  context.strokeStyle = styleValue("--level-0");
  context.setLineDash([5, 4]);
  context.beginPath();
  context.moveTo(x(map.steps.at(-1) ?? 0), y(last));
  context.lineTo(x(crossing), y(limits.top));
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = styleValue("--level-0");
  context.beginPath();
  context.arc(x(crossing), y(limits.top), 4, 0, 7);
  context.fill();
  context.fillStyle = styleValue("--level-0-text");
  context.textAlign = "center";
  const text = `step ${whole(crossing)}`;
  const half = context.measureText(text).width / 2;
  context.fillText(text, Math.min(x(crossing), plot.left + plot.width - half), plot.top + plot.height + 16);
}

/**
 * The histogram of one watched step.
 * @param {CanvasRenderingContext2D} context
 * @param {Chart} chart
 * @param {ReturnType<typeof scalesOf>} scales
 * @param {number} width
 */
function beside(context, { map, at, dtype, dtypes }, { plot, y, limits, isNear }, width) {
  const left = plot.left + plot.width + 12;
  const room = width - left - 4;
  const shares = map.shares[at] ?? [];
  const isLimited = isNear && dtypes[at] === dtype;
  const most = Math.max(1e-9, ...shares.map((share) => (share < 0 ? 0 : 2 ** (-share / 16))));
  for (const [row, share] of shares.entries()) {
    if (share < 0) continue;
    const exponent = map.first + row;
    const over = isLimited && exponent + 1 > limits.top + 0.01;
    context.fillStyle = styleValue(
      over ? "--level-0" : isLimited && exponent < limits.zero ? "--density-lost" : "--density",
    );
    const bar = Math.max(over ? 3 : 1, (2 ** (-share / 16) / most) * room);
    context.fillRect(left, y(exponent + 1) + 0.5, bar, Math.max(1, y(exponent) - y(exponent + 1) - 1));
  }
  context.fillStyle = styleValue("--quiet");
  context.textAlign = "left";
  context.fillText(`step ${whole(map.steps[at])}`, left, plot.top + plot.height + 16);
}
