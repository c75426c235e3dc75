#!/usr/bin/env node
// @ts-check
// The time of a training step by class of operator, beside what the machine would need at least.
//
//   node bench/roofline.mjs [--model nano] [--batch 2] [--resolution 384] [--queries 300] [--boxes 8]
//                           [--precision bf16-mixed] [--steps 3] [--json]
//
// The least time of an operator is the longer one of its floating-point operations over the rate of a 1024³ product
// in its type, and of the bytes of its tensors over the rate of a copy of 256 MiB. Small tensors stay in the
// processor's caches, which are faster than that: more than 100 % is possible.
import { parseArgs } from "node:util";
import { letThreadsSleep, machineLine, measure, spread } from "rfdetr/support";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "nano" },
    batch: { type: "string", default: "2" },
    resolution: { type: "string" },
    queries: { type: "string" },
    boxes: { type: "string", default: "8" },
    precision: { type: "string", default: "bf16-mixed" },
    steps: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});
// Before libtorch loads, so the rest is imported after it.
letThreadsSleep();
const { manualSeed, noGrad, ops, profile, randn, scope, selfTimes } = await import("@rfdetr/torch");
const { benchParts, peakFlops } = await import("rfdetr/instruments");
const { randomBatch, trainingStep } = await import("rfdetr/train");

const steps = Number(values.steps);
const product = (list) => list.reduce((a, b) => a * b, 1);
const sizes = { float32: 4, bfloat16: 2, float16: 2, float64: 8, int64: 8, int32: 4, bool: 1, uint8: 1 };
const bytesOf = (tensors) =>
  (tensors ?? []).reduce((sum, { dtype, shape }) => sum + product(shape) * (sizes[dtype] ?? 4), 0);

/** Bytes a second of a large copy, read and written ones. */
function copyRate() {
  return noGrad(() =>
    scope(() => {
      const [from, to] = [randn([64 << 20]), randn([64 << 20])];
      const seconds = spread(measure(() => void ops.copy_(to, from), 8, 2)).min;
      return (2 * 4 * (64 << 20)) / seconds;
    }),
  );
}

/** @type {[name: string, pattern: RegExp][]} */
const classes = [
  [
    "matrix products",
    /::(addmm|mm|bmm|baddbmm|matmul|linear|mlp|grouped_linear|linear_packed|multiply|weight_gradient|pack_weight)$|^(Linear|Mlp|SplitLinear)Backward$/,
  ],
  ["convolutions", /convolution/],
  ["attention", /^rfdetr::attention|^Attention/],
  ["sampling (deformable attention)", /deformable|Deformable|grid_sampler/],
  ["optimizer, clip, average", /adamw|gradient_norm|foreach/],
  ["norms", /layer_norm|batch_norm|LayerNorm|group_norm/],
  ["reductions", /::(sum|amax|amin|mean|norm|topk|max|argmax|sort|any|all|cumsum)$/],
  [
    "copies, casts, gathers",
    /::(copy_|_to_copy|cat|stack|clone|contiguous|index_select|gather|index|fill_|zero_|scatter\w*|index_put_|embedding\w*)$/,
  ],
  ["allocation", /::(empty|empty_strided|empty_like|resize_|new_empty\w*)$/],
];
const elementwise =
  /::(add|sub|mul|div|neg|abs|exp|log|pow|sqrt|sin|cos|sigmoid|tanh|gelu|silu|relu|softplus|softmax|_softmax|clamp|clamp_min|clamp_max|maximum|minimum|where|threshold|addcmul|addcdiv|reciprocal|rsqrt|floor|round|eq|ne|lt|gt|le|ge|logical_\w+|bitwise_\w+|log_sigmoid|log1p|upsample_\w+)(_backward)?_?$/;

function classOf({ name, kind, phase, module, span }) {
  if (kind !== "operator" && kind !== "backward") return "between operators";
  if (span === "loss" || (phase === "backward" && module === null && span?.startsWith("backward"))) return "criterion";
  const found = classes.find(([, pattern]) => pattern.test(name));
  if (found !== undefined) return found[0];
  return elementwise.test(name) ? "elementwise" : "between operators";
}

/**
 * Multiply and add counted apart. Backward of attention computes the scores again: five products where forward has
 * two.
 */
function flopsOf(event, events) {
  const shape = (tensors, i) => tensors?.[i]?.shape ?? [];
  const { name, inputs, outputs } = event;
  // Our own products: the left operand and the result; the gradient and the input.
  if (/^rfdetr::(multiply|weight_gradient)$/.test(name))
    return 2 * product(shape(inputs, 0)) * (shape(inputs, 1)[1] ?? 0);
  if (/::(mm|bmm)$/.test(name)) return 2 * product(shape(outputs, 0)) * (shape(inputs, 0).at(-1) ?? 0);
  if (/::(addmm|baddbmm)$/.test(name)) return 2 * product(shape(outputs, 0)) * (shape(inputs, 1).at(-1) ?? 0);
  if (name === "aten::mkldnn_convolution") return 2 * product(shape(outputs, 0)) * product(shape(inputs, 1).slice(1));
  if (name === "aten::convolution_backward") return 4 * product(shape(inputs, 0)) * product(shape(inputs, 2).slice(1));
  const attention = ({ inputs: own }) => 4 * product(shape(own, 0)) * (shape(own, 1)[1] ?? 0);
  if (name === "rfdetr::attention") return attention(event);
  if (name === "AttentionBackward" && event.forward >= 0) return 2.5 * attention(events[event.forward]);
  return 0;
}

/**
 * Bytes that must be read and written. What has no list of its tensors of its own (backward nodes) reads and writes
 * what its forward did, and its gradient.
 */
function trafficOf(event, events, parameters) {
  if (event.name === "rfdetr::adamw_") return 9 * 4 * parameters;
  if (event.name === "aten::copy_") return bytesOf(event.inputs);
  if (event.kind === "backward" && event.forward >= 0 && /^(Attention|DeformableAttention)Backward$/.test(event.name)) {
    const forward = events[event.forward];
    return bytesOf(event.inputs) + 2 * bytesOf(forward.inputs) + bytesOf(forward.outputs);
  }
  if (event.name === "rfdetr::weight_gradient")
    return bytesOf(event.inputs) + 4 * event.inputs[0].shape[1] * event.inputs[1].shape[1];
  if (event.kind === "backward") return 0;
  return bytesOf(event.inputs) + bytesOf(event.outputs);
}

const precision = /** @type {import("@rfdetr/amp").Precision} */ (values.precision);
const number = (text) => (text === undefined ? undefined : Number(text));
const { config, parts, ema } = benchParts({
  model: values.model,
  precision,
  device: "cpu",
  resolution: number(values.resolution),
  queries: number(values.queries),
});
manualSeed(1);
const batch = randomBatch(
  Number(values.batch),
  config.resolution,
  config.numClasses,
  Number(values.boxes),
  config.segmentationHead,
);
const step = () => void trainingStep(parts, [batch], { ema });
const plain = spread(measure(step, steps, 2)).median;
const recorded = profile(
  () => {
    for (let i = 0; i < steps; i++) step();
  },
  { shapes: true },
).profile;
const half = peakFlops(precision, "cpu");
const full = peakFlops("32-true", "cpu");
const rate = copyRate();
const parameters = parts.model.parameters().reduce((sum, p) => sum + p.numel, 0);

const { events, nanoseconds } = recorded;
const own = selfTimes(events);
const rows = new Map();
const operators = new Map();
function rowOf(table, name) {
  if (!table.has(name)) table.set(name, { name, calls: 0, seconds: 0, flops: 0, bytes: 0, least: 0 });
  return table.get(name);
}
events.forEach((event, i) => {
  const name = classOf(event);
  const pair = [rowOf(rows, name), rowOf(operators, `${event.name.replace("aten::", "")}, ${event.phase}`)];
  for (const row of pair) row.seconds += own[i] / 1e9;
  if (name === "between operators" || name === "allocation") return;
  // An operator that only hands on to others has no work of its own.
  if (own[i] < 0.5 * (event.end - event.start) && flopsOf(event, events) === 0) return;
  const [flops, bytes] = [flopsOf(event, events), trafficOf(event, events, parameters)];
  const least = Math.max(flops / (event.inputs?.[0]?.dtype === "float32" ? full : half), bytes / rate);
  for (const row of pair) {
    row.calls++;
    row.flops += flops;
    row.bytes += bytes;
    row.least += least;
  }
});
const average = ({ name, calls, seconds, flops, bytes, least }) => ({
  name,
  calls: calls / steps,
  seconds: seconds / steps,
  flops: flops / steps,
  bytes: bytes / steps,
  least: least / steps,
});
const list = [...rows.values()].map(average).sort((a, b) => b.seconds - a.seconds);
const lost = [...operators.values()]
  .map(average)
  .sort((a, b) => b.seconds - b.least - (a.seconds - a.least))
  .slice(0, 14);
const report = {
  bench: "roofline",
  date: new Date().toISOString().slice(0, 10),
  machine: machineLine(),
  model: values.model,
  batch: Number(values.batch),
  resolution: config.resolution,
  queries: config.numQueries,
  boxes: Number(values.boxes),
  precision,
  step_seconds: plain,
  recorded_seconds: nanoseconds / 1e9 / steps,
  peaks: { half_flops: half, float32_flops: full, copy_bytes: rate },
  classes: list,
  furthest_from_least: lost,
};
if (values.json) console.log(JSON.stringify(report));
else {
  const giga = (value) => (value / 1e9).toFixed(value < 1e10 ? 2 : 0);
  console.log(
    `${report.date}, ${report.machine}; ${values.model}, batch ${values.batch}, ${config.resolution} px, ${config.numQueries} queries, ${values.boxes} boxes, ${values.precision}: step ${(1000 * plain).toFixed(0)} ms (${(1000 * report.recorded_seconds).toFixed(0)} ms recorded)`,
  );
  console.log(`Peaks: products ${giga(half)} GFLOP/s in half, ${giga(full)} in float32; copy ${giga(rate)} GB/s\n`);
  const table = (what, entries) => {
    console.log(
      `| ${what} | calls | ms | of the step | GFLOP | GB | GFLOP/s | GB/s | least, ms | least / time |\n|---|---|---|---|---|---|---|---|---|---|`,
    );
    for (const { name, calls, seconds, flops, bytes, least } of entries) {
      const some = (value, text) => (value === 0 ? "" : text);
      const cells = [
        name,
        Math.round(calls),
        (1000 * seconds).toFixed(1),
        `${((100 * seconds) / report.recorded_seconds).toFixed(1)} %`,
        some(flops, (flops / 1e9).toFixed(1)),
        some(bytes, (bytes / 1e9).toFixed(2)),
        some(flops, (flops / seconds / 1e9).toFixed(0)),
        some(bytes, (bytes / seconds / 1e9).toFixed(1)),
        some(least, (1000 * least).toFixed(1)),
        some(least, `${((100 * least) / seconds).toFixed(0)} %`),
      ];
      console.log(`| ${cells.join(" | ")} |`);
    }
  };
  table("class", list);
  const total = list.reduce((sum, { least }) => sum + least, 0);
  console.log(`\nAll leasts together: ${(1000 * total).toFixed(0)} ms. Where the most time lies above the least:\n`);
  table("operator", lost);
}
