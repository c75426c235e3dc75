// @ts-check
// How far the values of modules stay from the limits of their dtype, and the tree of the modules. Nothing is drawn
// here.

/** @import { ModuleSeries, SideSeries } from "../src/dash/wire.js" */

/** @typedef {"as-run" | "float16" | "bfloat16"} Measure against which dtype headroom is measured */
/** @typedef {"forward" | "gradient"} Side */
/** @typedef {"float16" | "bfloat16" | "float32"} Dtype */

/**
 * log2 of the largest number, of the smallest normal number, and of the value below which all is rounded to zero.
 * @type {Record<Dtype, {top: number, normal: number, zero: number}>}
 */
export const ranges = {
  float16: { top: Math.log2(65504), normal: -14, zero: -25 },
  bfloat16: { top: 128, normal: -126, zero: -134 },
  float32: { top: 128, normal: -126, zero: -150 },
};

/** Operators that ran while no module did. */
const outsideOfModules = "(outside of modules)";

/** What the server sends for a value that is not finite. */
const notFinite = 32767;

/** @type {Record<string, Dtype>} */
const byLetter = { h: "float16", b: "bfloat16", f: "float32" };

/**
 * The dtype against whose limits a watched step is measured.
 * @param {SideSeries} side @param {number} at @param {Measure} measure
 */
export const dtypeAt = (side, at, measure) =>
  measure === "as-run" ? (byLetter[side.letters[at]] ?? "float32") : measure;

/**
 * Bits to overflow at a watched step: Infinity where all is zero or nothing was seen, −Infinity where a value is not
 * finite.
 * @param {SideSeries | null} side @param {number} at @param {Measure} measure
 */
export function bitsAt(side, at, measure) {
  const top = side?.top[at];
  if (side === null || top === null || top === undefined) return Number.POSITIVE_INFINITY;
  if (top === notFinite) return Number.NEGATIVE_INFINITY;
  return ranges[dtypeAt(side, at, measure)].top - top / 16;
}

/** Whether a side has values in a dtype. @param {SideSeries} side @param {Dtype} wanted */
const isIn = ({ dtype }, wanted) => dtype.split(" ").includes(wanted);

/**
 * The share of values at a watched step that become zero in the dtype whose limits are shown.
 * @param {SideSeries | null} side @param {number} at @param {Measure} measure
 */
export function flushedAt(side, at, measure) {
  if (side === null) return 0;
  if (measure === "float16") return (side.flushed16[at] ?? 0) / 1000;
  // Whatever float16 holds, bfloat16 holds too.
  return measure === "bfloat16" && isIn(side, "float16") ? 0 : (side.flushed[at] ?? 0) / 1000;
}

/**
 * The narrowest dtype of a run: values in it are those that 16-mixed has in float16.
 * @param {ModuleSeries[]} modules @returns {Dtype}
 */
function narrowest(modules) {
  const sides = modules.flatMap(({ forward, gradient }) => [forward, gradient].filter((side) => side !== null));
  const dtypes = /** @type {Dtype[]} */ (["float16", "bfloat16"]);
  return dtypes.find((dtype) => sides.some((side) => isIn(side, dtype))) ?? "float32";
}

/** The share of values that become zero above which it is worth to look, as in the report. */
const muchFlushed = 0.05;

/**
 * The modules of which more than 5 % become zero in float16, of those that 16-mixed has in float16.
 * As in the report, each by the watched step with the most.
 * @param {ModuleSeries[]} modules @param {Side} side
 */
export function flushedModules(modules, side) {
  const narrow = narrowest(modules);
  const there = modules.filter(({ [side]: series }) => series !== null && isIn(series, narrow));
  const most = (/** @type {SideSeries | null} */ series) => Math.max(0, ...(series?.flushed16 ?? [])) / 1000;
  return { of: there.length, count: there.filter((each) => most(each[side]) > muchFlushed).length };
}

/**
 * What float16 makes zero of the gradients of a run, or would make in another precision; empty where it is little.
 * @param {{count: number, of: number}} flushed @param {string} precision of the run
 */
export function flushedText({ count, of }, precision) {
  const where = `more than 5 % of the gradients zero in ${count} of ${of} modules on a watched step.`;
  if (count === 0) return "";
  return precision === "16-mixed"
    ? `With the loss scale of this run, float16 makes ${where}`
    : `Without a loss scale, float16 would make ${where}`;
}

/**
 * What the limits mean to the run: whether they are its own, and what bfloat16 loses in place of range.
 * @param {string} precision @param {Measure} measure
 */
export function limitsText(precision, measure) {
  if (measure === "float16" && precision !== "16-mixed")
    return `This run is ${precision}, and has other limits. These are those that 16-mixed would have.`;
  if (precision === "bf16-mixed")
    return "bfloat16 reaches as far as float32, and loses precision instead: it keeps 8 bits of each value, where float16 keeps 11 and float32 24.";
  const isFull = precision !== "16-mixed" && precision !== "" && measure === "as-run";
  return isFull
    ? `This run is ${precision}. The limits of float16 and bfloat16 show what half precision would do.`
    : "";
}

/** Where the colours of headroom change, in bits. */
const steps = [0, 1, 2.5, 5, 8];

/** How near the limit is: 0 beyond it, 5 far away. @param {number} bits */
export const levelOf = (bits) => steps.filter((step) => bits > step).length;

/**
 * A module, or the part of the path that several share.
 * @typedef {object} TreeNode
 * @property {string} path what the paths of all modules below begin with
 * @property {string} name the last part of it; several where there is nothing to choose between
 * @property {ModuleSeries | null} module null where no operator ran in it directly
 * @property {TreeNode[]} children in the order in which the model runs
 */

/** The modules by the parts of their paths. @param {ModuleSeries[]} modules @returns {TreeNode[]} */
export function treeOf(modules) {
  /** @type {TreeNode} */
  const root = { path: "", name: "", module: null, children: [] };
  for (const module of modules) {
    let node = root;
    // What is no path, such as "(outside of modules)", may have a dot of its own.
    const parts = module.path.startsWith("(") ? [module.path] : module.path.split(".");
    for (const part of parts) {
      let child = node.children.find(({ name }) => name === part);
      if (child === undefined) {
        child = { path: node.path === "" ? part : `${node.path}.${part}`, name: part, module: null, children: [] };
        node.children.push(child);
      }
      node = child;
    }
    node.module = module;
  }
  return root.children.map(shortened);
}

/** Joins a node with its only child where no operator ran in it. @param {TreeNode} node @returns {TreeNode} */
function shortened(node) {
  let { name } = node;
  let last = node;
  while (last.module === null && last.children.length === 1) {
    [last] = last.children;
    name = `${name}.${last.name}`;
  }
  return { ...last, name, children: last.children.map(shortened) };
}

/** The modules of a node and of all below. @param {TreeNode} node @returns {ModuleSeries[]} */
export const modulesBelow = (node) => [
  ...(node.module === null ? [] : [node.module]),
  ...node.children.flatMap(modulesBelow),
];

/** The modules inside of another, without itself. @param {ModuleSeries[]} modules @param {string} path */
export const partsOf = (modules, path) => modules.filter((module) => module.path.startsWith(`${path}.`));

/**
 * The least headroom of modules at a watched step.
 * @param {ModuleSeries[]} modules @param {Side} side @param {number} at @param {Measure} measure
 */
export function leastBits(modules, side, at, measure) {
  let bits = Number.POSITIVE_INFINITY;
  for (const module of modules) bits = Math.min(bits, bitsAt(module[side], at, measure));
  return bits;
}

/**
 * The module with the least headroom at a watched step; null where nothing was seen. As in the report, only what is in
 * the narrowest dtype of the run counts: a wider one tells nothing of it, unless its own end is near.
 * @param {ModuleSeries[]} modules @param {number} at @param {Measure} measure
 * @returns {{path: string, side: Side, bits: number} | null}
 */
export function tightest(modules, at, measure) {
  /** @type {{path: string, side: Side, bits: number} | null} */
  let found = null;
  const narrow = narrowest(modules);
  const sides = /** @type {Side[]} */ (["forward", "gradient"]);
  for (const module of modules)
    for (const side of sides) {
      const { path, [side]: series } = module;
      if (series === null) continue;
      const bits = bitsAt(series, at, measure);
      const isNarrow = byLetter[series.letters[at]] === narrow && path !== outsideOfModules;
      const isNearOwnEnd = bits === Number.NEGATIVE_INFINITY || (measure === "as-run" && levelOf(bits) < steps.length);
      if (!isNarrow && !isNearOwnEnd) continue;
      if (bits < (found?.bits ?? Number.POSITIVE_INFINITY)) found = { path, side, bits };
    }
  return found;
}

/** The fewest watched steps that show where values go, as many as a forecast needs. */
const fewest = 4;

/**
 * Bits of the least headroom that were lost a watched step, over the last few; 0 where that is not known.
 * @param {ModuleSeries[]} modules @param {Side} side @param {number} at @param {Measure} measure
 */
export function trendAt(modules, side, at, measure) {
  const before = Math.max(0, at - 4);
  const change = leastBits(modules, side, at, measure) - leastBits(modules, side, before, measure);
  return at - before + 1 >= fewest && Number.isFinite(change) ? change / (at - before) : 0;
}

/**
 * Whether headroom falls and is worth an arrow: far from the limit, where no forecast is made either, it only wanders.
 * @param {number} bits @param {number} trend bits a watched step
 */
export const isFalling = (bits, trend) => trend < -0.05 && bits < steps[steps.length - 1];
