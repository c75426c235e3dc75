// @ts-check
// The fit of the model to what bench/scale-out.mjs measured, and steps of more ranks than were measured.
import { bucketsOf, expectedLargest, least, line, reductionSeconds } from "./model.mjs";

/** @import { Costs, Network, Travel } from "./model.mjs" */

const travels = /** @type {const} */ (["float32", "bfloat16"]);

/** @param {Record<string, any>} measured @returns {Pick<Costs, "rounds" | "hop" | "message">} */
function latencyOf({ rounds: counted, exchange }) {
  const sizes = Object.keys(counted).map(Number);
  const counts = sizes.map((size) => counted[size].check).sort((a, b) => a - b);
  const rounds = counts[(counts.length - 1) >> 1];
  // An exchange is two all-to-alls.
  const hop = exchange[2].seconds / (2 * rounds);
  const { slope } = line(sizes.map((size) => [size - 1, counted[size].cpu]));
  return { rounds, hop, message: slope };
}

/** @typedef {Network & {model: string, ranks: number, travel: Travel, seconds: number}} Point */

/** @param {Record<string, any>} measured @returns {Point[]} */
export function pointsOf({ wire }) {
  return Object.entries(wire ?? {}).map(([key, { seconds }]) => {
    const [model, ranks, gbit, ms, travel] = key.split(" ");
    return {
      ...{ model, ranks: Number(ranks), gbit: Number(gbit), ms: Number(ms) },
      ...{ travel: /** @type {Travel} */ (travel), seconds },
    };
  });
}

/**
 * Points that the fit does not see: another model, another delay, another rate.
 * @param {Point} point
 */
export const isHeldOut = ({ model, ms, gbit }) => model !== "nano" || ms === 0.5 || gbit === 25;

/** Fits the costs. @param {Record<string, any>} measured */
export function fitted(measured) {
  const latency = latencyOf(measured);
  const parameters = (/** @type {string} */ model) => measured.model[model].parameters;
  /** @param {Point} point @param {Costs} costs */
  const modelled = ({ model, ranks, travel, gbit, ms }, costs) => {
    // Here all ranks share two cores; elsewhere each has its own. The backward of the measurement costs nothing else.
    const crowd = ranks / 2;
    const own = { ...costs, byte: costs.byte * crowd, work: costs.work * crowd, message: costs.message * crowd };
    const buckets = bucketsOf(parameters(model), [0, parameters(model) * own.work]);
    return reductionSeconds(ranks, buckets, travel, { gbit, ms }, own);
  };
  const points = pointsOf(measured);
  const seen = points.filter((point) => !isHeldOut(point));
  /** @param {number[]} values @returns {Costs} */
  const costsOf = ([efficiency, byte, work]) => ({ efficiency, byte: byte * 1e-9, work: work * 1e-9, ...latency });
  const values = least(
    (tried) =>
      tried[0] > 1 || tried[0] < 0.1
        ? Number.POSITIVE_INFINITY
        : seen.reduce((sum, point) => sum + Math.log(modelled(point, costsOf(tried)) / point.seconds) ** 2, 0),
    [0.9, 1, 1],
  );
  const costs = costsOf(values);
  const rows = points.map((point) => ({ ...point, modelled: modelled(point, costs) }));
  return { costs, rows, parameters };
}

/** The mean and the largest of relative errors. @param {{seconds: number, modelled: number}[]} rows */
export function errorsOf(rows) {
  const errors = rows.map(({ seconds, modelled }) => Math.abs(modelled / seconds - 1));
  return { count: rows.length, mean: errors.reduce((a, b) => a + b, 0) / errors.length, most: Math.max(...errors) };
}

/**
 * A step of N ranks, and what it is made of.
 * @typedef {{seconds: number, compute: number, straggling: number, bandwidth: number, latency: number, efficiency:
 * number}} Step
 */

/**
 * @param {ReturnType<typeof fitted>} fit @param {Record<string, any>} measured
 * @param {{model: string, ranks: number, travel: Travel, network: Network, faster: number}} what `faster`: how many
 *   times as fast as this machine each rank is
 * @returns {Step}
 */
export function foreseen({ costs, parameters }, measured, { model, ranks, travel, network, faster }) {
  const { step, variation } = measured.compute[model];
  const compute = step / faster;
  const { firstBucket, lastBucket, seconds } = measured.steps["nano 2"];
  // Where in a step the first and the last gradients are ready, as it is measured for Nano.
  const backward = (compute * lastBucket) / seconds;
  const ready = /** @type {[number, number]} */ ([(backward * firstBucket) / lastBucket, backward]);
  const swift = { ...costs, byte: costs.byte / faster, work: costs.work / faster };
  const unhidden = (/** @type {Network} */ wire, /** @type {Costs} */ each) =>
    reductionSeconds(ranks, bucketsOf(parameters(model), ready), travel, wire, each) - backward;
  const reduction = unhidden(network, swift);
  const bandwidth = unhidden({ ...network, ms: 0 }, { ...swift, hop: 0, message: 0 });
  // Two exchanges, each of two all-to-alls.
  const exchanges = 4 * (costs.rounds * (network.ms / 1000 + costs.hop) + (ranks - 1) * costs.message);
  const straggling = compute * variation * expectedLargest(ranks);
  const whole = compute + straggling + reduction + exchanges;
  return {
    ...{ seconds: whole, compute, straggling, bandwidth, latency: reduction - bandwidth + exchanges },
    efficiency: compute / whole,
  };
}

/**
 * The number of ranks from which on the efficiency is below `limit`, and what costs most there; null up to `most`.
 * @param {(ranks: number) => Step} step
 */
export function bendOf(step, limit = 0.9, most = 1024) {
  for (let ranks = 2; ranks <= most; ranks = Math.ceil(ranks * 1.05)) {
    const { efficiency, straggling, bandwidth, latency } = step(ranks);
    if (efficiency >= limit) continue;
    const [why] = Object.entries({ straggling, bandwidth, latency }).sort(([, a], [, b]) => b - a)[0];
    return { ranks, why };
  }
  return null;
}

export { travels };
