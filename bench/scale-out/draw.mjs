// @ts-check
// The chart and the tables of docs/scale-out.md.
import { figure } from "../line-chart.mjs";
import { bendOf, errorsOf, fitted, foreseen, isHeldOut, travels } from "./forecast.mjs";

/** @typedef {Record<string, any>} Measured */
/** @typedef {ReturnType<typeof fitted>} Fit */

const counts = [8, 32, 128, 256, 512, 1024];
const networks = [1, 10, 25].map((gbit) => ({ gbit, ms: 0.05 }));
const percent = (/** @type {number} */ share) => `${(100 * share).toFixed(share > 0.995 || share < 0.1 ? 1 : 0)} %`;
const seconds = (/** @type {number} */ value) =>
  value >= 1 ? `${value.toFixed(2)} s` : `${Number((1000 * value).toPrecision(3))} ms`;
const row = (/** @type {(string | number)[]} */ cells) => `| ${cells.join(" | ")} |`;
const head = (/** @type {string[]} */ titles) => `${row(titles)}\n|${titles.map(() => "---").join("|")}|`;

/** Tables to stdout. @param {Measured} measured @returns {string} the chart */
export function draw(measured) {
  const fit = fitted(measured);
  console.log(`${measured.date}, ${measured.machine}\n`);
  machineTable(measured);
  roundsTable(measured);
  wireTable(fit);
  fitWords(fit);
  for (const faster of [1, 20]) forecastTable(measured, fit, faster);
  const alt =
    "Measured seconds of reductions lie along those of the model; the share of a step that computes falls with the number of ranks, most on slow networks.";
  return figure(
    [measuredPanel(fit), efficiencyPanel(measured, fit, "nano"), efficiencyPanel(measured, fit, "large")],
    alt,
  );
}

/** @param {Measured} measured */
function machineTable({ start, steps, gather, exchange, loopback, compute }) {
  console.log(head(["processes", "start", "join", "step", "against one", "sums waited for", "exchange", "gather"]));
  for (const size of [1, 2, 4]) {
    const step = steps[`nano ${size}`];
    const join = size === 1 ? "" : seconds(start[size].join);
    const cells = [size, seconds(start[size].seconds), join, seconds(step.seconds), `${step.ratio} ×`];
    const several = [seconds(step.wait), seconds(exchange[size]?.seconds), seconds(gather[size]?.seconds)];
    console.log(row([...cells, ...(size === 1 ? ["", "", ""] : several)]));
  }
  console.log(`\n${head(["gradients", "2 processes", "4 processes"])}`);
  for (const travel of travels)
    console.log(row([travel, ...[2, 4].map((size) => seconds(loopback[`nano ${size} ${travel}`].seconds))]));
  console.log(`\n${head(["model", "step of 4 images", "variation"])}`);
  for (const [model, { step, variation }] of Object.entries(compute))
    console.log(row([model, seconds(/** @type {number} */ (step)), percent(/** @type {number} */ (variation))]));
}

/** @param {Measured} measured */
function roundsTable({ rounds }) {
  console.log(`\n${head(["ranks", "check", "check and gather", "1 bucket", "6 buckets", "CPU of a check"])}`);
  for (const [size, { check, objects, buckets1, buckets6, cpu }] of Object.entries(rounds))
    console.log(row([size, check, objects, buckets1, buckets6, seconds(cpu)]));
}

/** @param {Fit} fit */
function wireTable({ rows }) {
  console.log(`\n${head(["model", "ranks", "Gbit/s", "delay", "gradients", "measured", "model", "error", ""])}`);
  for (const point of rows) {
    const { model, ranks, gbit, ms, travel, modelled } = point;
    const what = isHeldOut(point) ? "held out" : "fitted";
    const error = percent(modelled / point.seconds - 1);
    console.log(row([model, ranks, gbit, `${ms} ms`, travel, seconds(point.seconds), seconds(modelled), error, what]));
  }
}

/** @param {Fit} fit */
function fitWords({ costs, rows }) {
  console.log(`\n${JSON.stringify(costs)}`);
  const out = rows.filter(isHeldOut);
  const sets = {
    fitted: rows.filter((each) => !isHeldOut(each)),
    "held out": out,
    "of these at 1 Gbit/s": out.filter(({ gbit }) => gbit === 1),
    "at 10 Gbit/s": out.filter(({ gbit }) => gbit === 10),
    "at 25 Gbit/s": out.filter(({ gbit }) => gbit === 25),
  };
  for (const [name, set] of Object.entries(sets)) {
    const { count, mean, most } = errorsOf(set);
    console.log(`${name}: ${count} points, mean error ${percent(mean)}, largest ${percent(most)}`);
  }
}

/** @param {Measured} measured @param {Fit} fit @param {number} faster */
function forecastTable(measured, fit, faster) {
  console.log(`\n${faster} × as fast\n${head(["model", "gradients", "Gbit/s", ...counts.map(String), "below 90 %"])}`);
  for (const model of ["nano", "large"])
    for (const travel of travels)
      for (const network of networks) {
        const at = (/** @type {number} */ ranks) => foreseen(fit, measured, { model, ranks, travel, network, faster });
        const bend = bendOf(at);
        const cells = counts.map((ranks) => percent(at(ranks).efficiency));
        console.log(row([model, travel, network.gbit, ...cells, bend === null ? "–" : `${bend.ranks}: ${bend.why}`]));
      }
}

/** @param {Fit} fit @returns {import("../line-chart.mjs").Panel} */
function measuredPanel({ rows }) {
  const most = Math.max(...rows.flatMap((each) => [each.seconds, each.modelled]));
  /** @param {(point: Fit["rows"][number]) => boolean} chosen @param {string} label @param {number} color */
  const dots = (chosen, label, color) => ({
    ...{ label, color, width: 0, dots: true },
    points: rows.filter(chosen).map((each) => /** @type {[number, number]} */ ([each.modelled, each.seconds])),
  });
  return {
    ...{ title: "Reductions of gradients", xLabel: "seconds by the model", yLabel: "seconds measured" },
    ...{ include: [0], counts: false },
    lines: [
      {
        color: 7,
        width: 1,
        dash: "4 3",
        points: [
          [0, 0],
          [most, most],
        ],
      },
      dots((each) => !isHeldOut(each), "fitted", 0),
      dots(isHeldOut, "held out", 1),
    ],
  };
}

/** @param {Measured} measured @param {Fit} fit @param {string} model @returns {import("../line-chart.mjs").Panel} */
function efficiencyPanel(measured, fit, model) {
  const all = [2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
  const name = `${model[0].toUpperCase()}${model.slice(1)}`;
  return {
    ...{
      title: `${name}: share of a step that computes`,
      xLabel: "ranks, each 20 × this machine",
      yLabel: "efficiency",
    },
    ...{
      include: [0],
      counts: false,
      xTicks: all.map((n) => /** @type {[number, string]} */ ([Math.log2(n), String(n)])),
    },
    lines: networks.flatMap((network, i) =>
      travels.map((travel) => ({
        ...(travel === "float32" ? { label: `${network.gbit} Gbit/s` } : { dash: "5 3" }),
        color: i,
        points: all.map((ranks) => {
          const step = foreseen(fit, measured, { model, ranks, travel, network, faster: 20 });
          return /** @type {[number, number]} */ ([Math.log2(ranks), step.efficiency]);
        }),
      })),
    ),
  };
}
