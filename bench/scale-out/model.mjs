// @ts-check
// What a step of N processes takes: a model of the reduction and the exchanges, its fit to measured points, and what it
// foresees.
//
// The reduction works as packages/torch/native/reducer.cc does it. Gradients come in buckets while backward runs. Each
// bucket goes through an all-to-all of its parts, is added up, and goes through another; both send (N − 1) / N of its
// bytes in N − 1 messages. Buckets are sent as they are ready, sums as they are made, in the order of buckets. Both
// share the port of the machine. No all-to-all waits until another has arrived.

/**
 * What a fit finds: `efficiency`, the share of a wire's rate that gradients get; `byte`, seconds that a rank and its
 * kernel spend on each byte that it sends; `work`, seconds for each parameter before it is sent, and again before its
 * sum is. What was measured: `rounds`, how many delays of the wire an all-to-all waits for; `hop`, seconds that each
 * takes beside the delay of the wire; `message`, seconds that a rank spends on each message that it sends and gets.
 * @typedef {{efficiency: number, byte: number, work: number, rounds: number, hop: number, message: number}} Costs
 *
 * @typedef {"float32" | "bfloat16"} Travel
 *
 * A port's rate in Gbit/s, and the delay of a message in milliseconds.
 * @typedef {{gbit: number, ms: number}} Network
 */

/**
 * Buckets of a model's gradients, 25 MiB of float32 each but for the first of 1 MiB, ready at times that lie evenly.
 * @param {number} parameters @param {[first: number, last: number]} ready seconds
 */
export function bucketsOf(parameters, [first, last] = [0, 0]) {
  const sizes = [(1 << 20) / 4];
  for (let rest = parameters - sizes[0]; rest > 0; rest -= (25 << 20) / 4) sizes.push(Math.min((25 << 20) / 4, rest));
  return sizes.map((each, i) => ({ parameters: each, ready: first + ((last - first) * i) / (sizes.length - 1) }));
}

/**
 * Seconds from the start of backward until the last bucket is reduced.
 * @param {number} ranks
 * @param {{parameters: number, ready: number}[]} buckets in the order in which they are ready
 * @param {Travel} travel @param {Network} network @param {Costs} costs
 */
export function reductionSeconds(ranks, buckets, travel, { gbit, ms }, costs) {
  const rate = 1 / (8 / (gbit * 1e9 * costs.efficiency) + costs.byte);
  const messages = (ranks - 1) * costs.message;
  // Messages keep a rank from sending as bytes do.
  const sent = buckets.map(
    ({ parameters }) => (parameters * (travel === "float32" ? 4 : 2) * (ranks - 1)) / ranks + messages * rate,
  );
  const flight = costs.rounds * (ms / 1000 + costs.hop);
  let [time, summed, reduced] = [0, 0, 0];
  /** @type {number[]} when the parts of each bucket have arrived */
  const done = [];
  /** Both stages: their bucket, what is left of it to send, and when they may go on. */
  const toAll = { at: 0, left: sent[0], from: buckets[0].ready };
  const sums = { at: 0, left: Number.NaN, from: Number.POSITIVE_INFINITY };
  while (sums.at < buckets.length) {
    const stages = [toAll, sums].filter(({ at }) => at < buckets.length);
    const active = stages.filter(({ from }) => from <= time);
    const each = rate / Math.max(1, active.length);
    const ends = active.map(({ left }) => time + left / each);
    const starts = stages.flatMap(({ from }) => (from > time ? [from] : []));
    const next = Math.min(...ends, ...starts);
    for (const stage of active) stage.left -= (next - time) * each;
    time = next;
    if (active.includes(sums) && !(sums.left > 1)) {
      reduced = time + flight;
      sums.at++;
      sums.from = Number.POSITIVE_INFINITY;
    }
    if (active.includes(toAll) && !(toAll.left > 1)) {
      done.push(time + flight);
      toAll.at++;
      toAll.left = sent[toAll.at];
      toAll.from = Math.max(time, buckets[toAll.at]?.ready ?? 0);
    }
    if (sums.at < toAll.at && sums.from === Number.POSITIVE_INFINITY) {
      sums.left = sent[sums.at];
      summed = Math.max(done[sums.at], summed) + buckets[sums.at].parameters * costs.work;
      sums.from = summed;
    }
  }
  // The map of used parameters travels with the last bucket.
  return reduced + messages;
}

/**
 * A straight line through points.
 * @param {[x: number, y: number][]} points
 */
export function line(points) {
  const mean = (/** @type {number[]} */ list) => list.reduce((a, b) => a + b, 0) / list.length;
  const [mx, my] = [mean(points.map(([x]) => x)), mean(points.map(([, y]) => y))];
  const slope =
    points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  return { slope, at: (/** @type {number} */ x) => my + slope * (x - mx) };
}

/**
 * Values that make a function least: coordinates in turns, in ever smaller steps.
 * @param {(values: number[]) => number} cost @param {number[]} start all positive
 */
export function least(cost, start) {
  let best = [...start];
  let value = cost(best);
  for (let [step, rounds] = [2, 0]; step > 1.0005 && rounds < 500; rounds++) {
    let better = false;
    for (const i of best.keys())
      for (const factor of [step, 1 / step]) {
        const tried = best.map((each, k) => (k === i ? each * factor : each));
        const result = cost(tried);
        if (result < value) [best, value, better] = [tried, result, true];
      }
    if (!better) step = Math.sqrt(step);
  }
  return best;
}

/** The expected largest of N normal numbers, in standard deviations. @param {number} count */
export function expectedLargest(count) {
  // The median of the largest: the quantile of 0.5^(1/N), by bisection of the normal distribution.
  const wanted = 0.5 ** (1 / count);
  let [low, high] = [-1, 8];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normal(middle) < wanted) low = middle;
    else high = middle;
  }
  return Math.max(0, low);
}

/** The normal distribution function (Abramowitz and Stegun 7.1.26, to 1.5e-7). @param {number} x */
function normal(x) {
  const z = Math.abs(x) / Math.SQRT2;
  const t = 1 / (1 + 0.3275911 * z);
  const tail =
    t *
    (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) *
    Math.exp(-z * z);
  return x >= 0 ? 1 - tail / 2 : tail / 2;
}
