#!/usr/bin/env node
// @ts-check
// How training grows with the number of processes: what is measured here, and what a model that is fitted to it
// foresees.
//
//   node bench/scale-out.mjs --part machine [--rounds 5]   1, 2 and 4 processes on this machine, in turns
//   node bench/scale-out.mjs --part compute                steps of one process
//   node bench/scale-out.mjs --part rounds                 how often an exchange waits for the wire; needs root
//   node bench/scale-out.mjs --part wire [--models nano,large] [--gbit 1,10,25] [--seconds 280]
//                                                          reductions over wires; needs root
//   node bench/scale-out.mjs --draw       docs/images/scale-out.svg, and the tables of docs/scale-out.md to stdout
//
// Points gather in bench/scale-out.json; those that stand there are not measured again. --seconds ends the run after so
// long: call it again to go on.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { machineLine } from "rfdetr/support";
import { draw } from "./scale-out/draw.mjs";
import { localRanks, wiredRanks } from "./scale-out/ranks.mjs";

const { values } = parseArgs({
  options: {
    part: { type: "string" },
    models: { type: "string", default: "nano,large" },
    gbit: { type: "string", default: "1,10,25" },
    rounds: { type: "string", default: "5" },
    seconds: { type: "string", default: "280" },
    out: { type: "string" },
    draw: { type: "boolean", default: false },
  },
});
const store = values.out ?? fileURLToPath(new URL("./scale-out.json", import.meta.url));
/** @type {Record<string, any>} */
const measured = existsSync(store) ? JSON.parse(readFileSync(store, "utf8")) : {};
const until = performance.now() + Number(values.seconds) * 1000;

/** Keeps a point, and says it at once. @param {string} part @param {string} key @param {any} value */
function keep(part, key, value) {
  measured[part] ??= {};
  measured[part][key] = value;
  measured.machine = machineLine();
  measured.date = new Date().toISOString().slice(0, 10);
  writeFileSync(store, `${JSON.stringify(measured, null, 1)}\n`);
  console.log(`${part}  ${key}  ${JSON.stringify(value)}`);
}

const sorted = (/** @type {number[]} */ list) => [...list].sort((a, b) => a - b);
const median = (/** @type {number[]} */ list) => sorted(list)[Math.floor((list.length - 1) / 2)];
const short = (/** @type {number} */ value) => Number(value.toPrecision(4));

/** Of answers of several ranks: the largest of each time. @param {any[][]} answers @param {string} name */
const slowest = (answers, name) =>
  answers[0].map((_, i) => Math.max(...answers.map((list) => /** @type {number} */ (list[i][name] ?? 0))));

/** Median and extremes of the times in which the slowest rank was done. @param {any[][]} answers */
function summary(answers) {
  const seconds = slowest(answers, "seconds");
  return { seconds: short(median(seconds)), least: short(Math.min(...seconds)), most: short(Math.max(...seconds)) };
}

/** The same four images a step by 1, 2 and 4 processes, which share the cores. All live at once and take turns. */
async function machine() {
  const images = 4;
  const sizes = [1, 2, 4];
  const threads = 2;
  const groups = [];
  for (const size of sizes) groups.push({ size, ranks: await localRanks(size, Math.max(1, threads / size)) });
  for (const { size, ranks } of groups) {
    const starts = ranks.ready.map(({ startSeconds }) => startSeconds);
    const joins = ranks.ready.map(({ joinSeconds }) => joinSeconds);
    keep("start", String(size), { seconds: short(Math.max(...starts)), join: short(Math.max(...joins)) });
    const [{ parameters, tensors }] = await ranks.ask({
      ...{ do: "prepare", model: "nano", precision: "32-true", compress: null, images: 1 },
    });
    keep("model", "nano", { parameters, tensors });
  }
  /** @type {Map<number, any[][]>} */
  const steps = new Map(sizes.map((size) => [size, []]));
  for (let round = 0; round <= Number(values.rounds); round++)
    for (const { size, ranks } of groups) {
      const answers = await ranks.ask({ do: "step", micro: images / size, of: images, times: 1 });
      // The first round warms up: the reducer lays out its buckets anew after it.
      if (round > 0) steps.get(size)?.push(answers.map(([first]) => first));
      console.error(
        `round ${round}, ${size} processes: ${Math.max(...answers.map(([{ seconds }]) => seconds)).toFixed(3)} s`,
      );
    }
  const alone = /** @type {any[][]} */ (steps.get(1)).map(([{ seconds }]) => seconds);
  for (const size of sizes) {
    const list = /** @type {any[][]} */ (steps.get(size));
    const of = (/** @type {string} */ name) =>
      short(median(list.map((ranks) => Math.max(...ranks.map((rank) => rank[name] ?? 0)))));
    const ratios = list.map((ranks, i) => Math.max(...ranks.map(({ seconds }) => seconds)) / alone[i]);
    keep("steps", `nano ${size}`, {
      ...{ seconds: of("seconds"), ratio: short(median(ratios)), exchange: of("exchange"), backward: of("backward") },
      ...{ firstBucket: of("firstBucketSeconds"), lastBucket: of("lastBucketSeconds"), wait: of("waitSeconds") },
    });
  }
  // A batch of detections, as an evaluation gathers them: 8 images, 300 detections, box, score and class.
  for (const { size, ranks } of groups.slice(1)) {
    keep(
      "gather",
      String(size),
      summary(await ranks.ask({ do: "exchange", what: "bytes", bytes: 8 * 300 * 24, times: 50 })),
    );
    keep("exchange", String(size), summary(await ranks.ask({ do: "exchange", what: "objects", times: 50 })));
    for (const compress of [null, "bfloat16"])
      keep(
        "loopback",
        `nano ${size} ${compress ?? "float32"}`,
        summary(await ranks.ask({ do: "reduce", model: "nano", compress, times: 5 })),
      );
  }
  for (const { ranks } of groups) await ranks.leave();
}

/** Steps of one process on all cores: the median, and the standard deviation of steps as a share of it. */
async function compute() {
  for (const [model, times] of /** @type {const} */ ([
    ["nano", 16],
    ["large", 5],
  ])) {
    if (measured.compute?.[model] !== undefined || performance.now() > until) continue;
    const ranks = await localRanks(1, availableParallelism());
    const [{ parameters, tensors }] = await ranks.ask({
      ...{ do: "prepare", model, precision: "32-true", compress: null, images: 1 },
    });
    keep("model", model, { parameters, tensors });
    await ranks.ask({ do: "step", micro: 1, of: 1, times: 2 });
    const [list] = await ranks.ask({ do: "step", micro: 1, of: 1, times });
    const each = list.map((/** @type {{seconds: number}} */ { seconds }) => seconds);
    const middle = median(each);
    // Robust: a step beside something else that runs is no step of a machine of its own.
    const variation = (1.4826 * median(each.map((/** @type {number} */ one) => Math.abs(one - middle)))) / middle;
    // A rank has four images a step.
    keep("compute", model, { step: short(4 * middle), variation: short(variation), each: each.map(short) });
    await ranks.leave();
  }
}

/**
 * With a delay that dwarfs all else, the time of an exchange counts how often it waits for the wire. The least of
 * several times: whatever else the machine does can only add to it.
 */
async function rounds() {
  const ms = 20;
  for (const size of [2, 3, 4, 6, 8]) {
    if (measured.rounds?.[size] !== undefined || performance.now() > until) continue;
    const ranks = await wiredRanks(size, { gbit: 0, ms });
    const waits = async (/** @type {Parameters<typeof ranks.ask>[0]} */ command) =>
      short((summary(await ranks.ask(command)).least * 1000) / ms);
    /** @type {Record<string, number>} */
    const count = {};
    for (const what of ["check", "objects"]) count[what] = await waits({ do: "exchange", what, times: 15 });
    for (const buckets of [1, 6])
      count[`buckets${buckets}`] = await waits({ do: "reduce", model: `${buckets} buckets`, compress: null, times: 9 });
    const cpu = await ranks.ask({ do: "cpu", times: 100 });
    count.cpu = short(cpu.reduce((a, b) => a + b) / size);
    keep("rounds", String(size), count);
    await ranks.leave();
  }
}

/** Reductions of a model's gradients over wires. */
async function wire() {
  for (const gbit of values.gbit.split(",").map(Number))
    for (const ms of [0.05, 0.5, 5])
      for (const size of [2, 4]) {
        const wanted = values.models
          .split(",")
          .flatMap((model) => [null, "bfloat16"].map((compress) => ({ model, compress })))
          .map((each) => ({ ...each, key: `${each.model} ${size} ${gbit} ${ms} ${each.compress ?? "float32"}` }))
          .filter(({ key }) => measured.wire?.[key] === undefined);
        if (wanted.length === 0 || performance.now() > until) continue;
        const ranks = await wiredRanks(size, { gbit, ms });
        for (const { model, compress, key } of wanted) {
          await ranks.ask({ do: "reduce", model, compress, times: 2 });
          keep("wire", key, summary(await ranks.ask({ do: "reduce", model, compress, times: gbit === 1 ? 3 : 5 })));
        }
        await ranks.leave();
      }
}

const parts = { machine, compute, rounds, wire };
if (values.part !== undefined) await parts[/** @type {"machine"} */ (values.part)]();
if (values.draw) writeFileSync(fileURLToPath(new URL("../docs/images/scale-out.svg", import.meta.url)), draw(measured));
