#!/usr/bin/env node
// @ts-check
// What mixed precision costs and changes, measured.
//
//   npm run build && node bench/precision.mjs overhead [--model nano] [--batch 2] [--rounds 5]
//                    node bench/precision.mjs ablation [--model nano] [--batch 2] [--rounds 3]
//                                                      [--precision bf16-mixed] [--variants ours,norm]
//                    node bench/precision.mjs ties     [--runs 6]
//
// overhead: operators that a training step's forward dispatches, what the interceptors add to each, the
//           share of a step; and the price of a step that the monitor watches, or the cast map.
// ablation: every row of the policy where our choice differs from PyTorch's CUDA list, and every module exception,
//           switched alone: error against float64, bytes, time. Variants take turns.
// ties:     how far losses move when the images change by a millionth, because tied scores change places: the noise
//           floor of the errors.
// Weights and images are those of the golden numbers (no download). One JSON object goes to stdout, tables to stderr.
import { availableParallelism, cpus } from "node:os";
import { parseArgs } from "node:util";
import {
  Autocast,
  CastMap,
  Choices,
  cudaPolicy,
  defaultPolicy,
  Monitor,
  observe,
  readHardware,
  withOperators,
} from "@rfdetr/amp";
import { keep, memory, noGrad, ops, resetPeakMemory, scope, tensor } from "@rfdetr/torch";
import { fillImages, fillModel, fillTargets } from "rfdetr/instruments";
import { Criterion } from "rfdetr/loss";
import { modelOverrides, RFDETRModel, refineBoxes, resolveModel } from "rfdetr/model";
import { cosine } from "./cosine.mjs";

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: "string", default: "nano" },
    batch: { type: "string", default: "2" },
    rounds: { type: "string", default: "3" },
    runs: { type: "string", default: "6" },
    precision: { type: "string", default: "bf16-mixed" },
    variants: { type: "string", default: "" },
  },
});
const rounds = Number(values.rounds);
const batch = Number(values.batch);
const precision = /** @type {import("@rfdetr/amp").Precision} */ (values.precision);
const config = resolveModel(values.model);
const criterion = new Criterion({ groupDetr: config.groupDetr });
const targets = fillTargets(batch).map((target) => ({
  ...target,
  labels: target.labels.map((label) => label % config.numClasses),
}));
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
const say = (text) => process.stderr.write(`${text}\n`);
const machine = `${availableParallelism()} × ${cpus()[0]?.model.trim()}, ${readHardware("cpu").features.join(" ")}`;

function filled(dtype = "float32") {
  const model = new RFDETRModel(config);
  fillModel(model);
  return (dtype === "float32" ? model : model.to(dtype)).train();
}

/**
 * One forward, loss and backward; `look(total)` sees the loss before the gradients are dropped.
 * @param {(total: import("@rfdetr/torch").Tensor) => unknown} look
 */
function step(model, autocast, images, look = () => null) {
  for (const p of model.parameters()) p.grad = null;
  return scope(() => {
    const start = performance.now();
    const outputs = autocast.run(() => model.call(images));
    const forward = performance.now();
    const live = memory().liveBytes;
    const { total } = criterion.compute(outputs, targets, { training: true });
    const loss = performance.now();
    total.backward();
    const end = performance.now();
    const seen = look(total);
    autocast.clearCache();
    return {
      forward: (forward - start) / 1000,
      loss: (loss - forward) / 1000,
      backward: (end - loss) / 1000,
      step: (end - start) / 1000,
      live,
      seen,
    };
  });
}

function overhead() {
  const model = filled();
  const images = keep(fillImages(batch, config.resolution, config.resolution));
  const autocast = new Autocast(precision, { overrides: modelOverrides });
  let calls = 0;
  const stop = observe(() => {
    calls++;
  });
  step(model, autocast, images);
  stop();
  // One call of the cheapest operators, so that the cost of dispatch is what is seen: an operator that is kept,
  // and one that would be lowered but is bfloat16 already.
  const x = keep(tensor([1]).to("bfloat16"));
  const m = keep(tensor([[1]]).to("bfloat16"));
  const each = 20_000;
  const time = (body) => {
    const start = performance.now();
    noGrad(() =>
      scope(() => {
        for (let i = 0; i < each; i++) body().dispose();
      }),
    );
    return ((performance.now() - start) / each) * 1e6;
  };
  /** @type {Record<string, number[]>} */
  const micro = { plain_keep: [], autocast_keep: [], plain_lower: [], autocast_lower: [] };
  for (let round = 0; round < rounds + 1; round++) {
    const plain = [time(() => ops.neg(x)), time(() => ops.mm(m, m))];
    const cast = autocast.run(() => [time(() => ops.neg(x)), time(() => ops.mm(m, m))]);
    if (round === 0) continue;
    micro.plain_keep.push(plain[0]);
    micro.autocast_keep.push(cast[0]);
    micro.plain_lower.push(plain[1]);
    micro.autocast_lower.push(cast[1]);
  }
  const nanoseconds = Object.fromEntries(Object.entries(micro).map(([name, list]) => [name, Math.round(median(list))]));
  const monitor = new Monitor({ interval: 1 });
  const kinds = {
    plain: () => step(model, autocast, images),
    monitored: () => {
      monitor.begin();
      const result = step(model, autocast, images);
      monitor.end();
      return result;
    },
    mapped: () => new CastMap().watch(() => step(model, autocast, images)),
  };
  /** @type {Record<string, number[]>} */
  const seconds = { plain: [], monitored: [], mapped: [] };
  for (let round = 0; round < rounds + 1; round++)
    for (const [name, run] of Object.entries(kinds)) {
      const start = performance.now();
      run();
      if (round > 0) seconds[name].push((performance.now() - start) / 1000);
    }
  const stepSeconds = Object.fromEntries(Object.entries(seconds).map(([name, list]) => [name, median(list)]));
  const added = Math.max(
    nanoseconds.autocast_keep - nanoseconds.plain_keep,
    nanoseconds.autocast_lower - nanoseconds.plain_lower,
  );
  const report = {
    bench: "precision overhead",
    machine,
    model: values.model,
    batch,
    precision,
    calls,
    nanoseconds_per_call: nanoseconds,
    interceptor_share_of_step: (calls * added * 1e-9) / stepSeconds.plain,
    seconds: stepSeconds,
    monitored_step_costs: stepSeconds.monitored / stepSeconds.plain - 1,
    monitor_share_at_interval_200: (stepSeconds.monitored / stepSeconds.plain - 1) / 200,
  };
  say(
    `${calls} operator calls a step; the interceptor adds ${added} ns to each: ${(100 * report.interceptor_share_of_step).toFixed(2)} % of a step of ${stepSeconds.plain.toFixed(2)} s`,
  );
  say(
    `a watched step costs ${(100 * report.monitored_step_costs).toFixed(0)} % more: ${(100 * report.monitor_share_at_interval_200).toFixed(2)} % at one step in 200; the cast map ${(100 * (stepSeconds.mapped / stepSeconds.plain - 1)).toFixed(0)} %`,
  );
  return report;
}

/** Gradients in float64. */
const flat = (model) => model.parameters().map((p) => p.grad?.to("float64") ?? null);

/** The encoder's maps after the projector (what selection and decoder read) */
const memoryOf = (model, autocast, images) =>
  noGrad(() => scope(() => autocast.run(() => model.backbone.at(0).call(images))[0].to("float64")));
/**
 * The decoder and heads on fixed float64 inputs, first group only: no ranking in between, so that the error is
 * rounding alone.
 */
function decoderInputs(model, images) {
  return noGrad(() =>
    scope(() => {
      const map = model.backbone.at(0).call(images)[0];
      const shapes = [[map.shape[2], map.shape[3]]];
      const memory = map.flatten(2).transpose(1, 2);
      model.transformer.querySelection.training = false;
      const { boxes } = model.transformer.querySelection.call(memory, shapes);
      model.transformer.querySelection.training = true;
      const count = boxes.shape[1];
      const reference = refineBoxes(
        model.refpointEmbed.weight.narrow(0, 0, count).unsqueeze(0).expand([batch, -1, -1]),
        boxes,
      );
      const content = model.queryFeat.weight.narrow(0, 0, count).unsqueeze(0).expand([batch, -1, -1]);
      return { content: content.contiguous(), reference, memory: memory.contiguous(), shapes };
    }),
  );
}
function decoded(model, autocast, inputs, dtype) {
  return noGrad(() =>
    scope(() => {
      const reference = inputs.reference.to(dtype);
      const state = autocast
        .run(() =>
          model.transformer.decoder.call(
            inputs.content.to(dtype),
            reference,
            inputs.memory.to(dtype),
            inputs.shapes,
            1,
          ),
        )
        .at(-1);
      return autocast.run(() => ({
        boxes: refineBoxes(model.bboxEmbed.call(state), reference).double(),
        logits: model.classEmbed.call(state).double(),
      }));
    }),
  );
}
const distance = (a, b) => scope(() => a.sub(b).abs().mean().item());
const relative = (a, b) => scope(() => a.sub(b).norm().item() / b.norm().item());

function judge() {
  const model = filled("float64");
  const images = fillImages(batch, config.resolution, config.resolution).to("float64");
  const autocast = new Autocast("32-true");
  const result = { memory: keep(memoryOf(model, autocast, images)), inputs: keep(decoderInputs(model, images)) };
  result.decoded = keep(decoded(model, autocast, result.inputs, "float64"));
  result.choices = new Choices();
  result.choices.record(() =>
    step(model, autocast, images, (total) => {
      result.loss = total.item();
      result.gradients = keep(flat(model));
    }),
  );
  for (const p of model.parameters()) p.dispose();
  return result;
}

/**
 * @typedef {{saved_bytes: number, peak_bytes: number, loss_error: number, gradient_cosine: number,
 *   rounding_cosine: number, memory_error: number, box_error_px: number, logit_error: number}} Figures of one variant;
 *   `rounding_cosine` is that of the gradient where the variant makes the choices of float64
 */
function ablation() {
  say("float64 run, the judge …");
  const toExact = () => scope(() => cosine(flat(model), truth.gradients));
  const truth = judge();
  const model = filled();
  const images = keep(fillImages(batch, config.resolution, config.resolution));
  const own = (changes = {}, overrides = {}) =>
    new Autocast(precision, {
      policy: withOperators(defaultPolicy, changes),
      overrides: { ...modelOverrides, ...overrides },
    });
  /** @type {[name: string, autocast: Autocast][]} */
  const variants = [
    ["32-true", new Autocast("32-true")],
    ["ours", own()],
    ["pytorch-cuda", new Autocast(precision, { policy: cudaPolicy })],
    ["layer_norm kept", own({ layer_norm: "keep" })],
    ["softmax kept", own({ softmax: "keep" })],
    ["sum kept", own({ sum: "keep" })],
    ["grid_sampler kept", own({ grid_sampler: "keep" })],
    ["silu up (fp32)", own({ silu: "fp32" })],
    ["gelu up (fp32)", own({ gelu: "fp32" })],
    ["selection lowered", own({}, { "transformer.query_selection": "policy" })],
    ["projector's last norm by policy", own({}, { "backbone.*.projector.stages.*.1": "policy" })],
    ["sampling offsets in fp32", own({}, { "transformer.decoder.layers.*.cross_attn.sampling_offsets": "fp32" })],
    ["cross attention in fp32", own({}, { "transformer.decoder.layers.*.cross_attn": "fp32" })],
    ["box head in fp32", own({}, { bbox_embed: "fp32" })],
    ["projector in fp32", own({}, { "backbone.*.projector": "fp32" })],
    ["projector's 3×3 in fp32", own({}, { "backbone.*.projector.stages.*.0.m": "fp32" })],
    ["projector's joining 1×1 in fp32", own({}, { "backbone.*.projector.stages.*.0.cv2": "fp32" })],
  ];
  const wanted = values.variants.split(",").filter(Boolean);
  if (wanted.length > 0)
    variants.splice(0, variants.length, ...variants.filter(([name]) => wanted.some((part) => name.includes(part))));
  /** @type {{name: string, forward: number[], backward: number[], step: number[], figures: Figures}[]} */
  const rows = variants.map(([name]) => ({
    name,
    forward: [],
    backward: [],
    step: [],
    figures: /** @type {Figures} */ ({}),
  }));
  for (let round = 0; round < rounds; round++)
    variants.forEach(([name, autocast], i) => {
      resetPeakMemory();
      const before = memory().liveBytes;
      const result = step(model, autocast, images, (total) =>
        round > 0
          ? null
          : {
              loss_error: Math.abs(total.item() - truth.loss) / truth.loss,
              gradient_cosine: toExact(),
            },
      );
      const row = rows[i];
      Object.assign(row.figures, { saved_bytes: result.live - before, peak_bytes: memory().peakBytes });
      for (const part of /** @type {const} */ (["forward", "backward", "step"])) row[part].push(result[part]);
      if (round === 0) {
        row.figures.rounding_cosine = truth.choices.repeat(() => step(model, autocast, images, toExact)).seen;
        const mine = decoded(model, autocast, truth.inputs, "float32");
        Object.assign(row.figures, result.seen, {
          memory_error: relative(memoryOf(model, autocast, images), truth.memory),
          box_error_px: distance(mine.boxes, truth.decoded.boxes) * config.resolution,
          logit_error: distance(mine.logits, truth.decoded.logits),
        });
      }
      autocast.clearCache();
      say(`round ${round + 1}: ${name} ${result.step.toFixed(2)} s`);
    });
  const table = rows.map(({ name, figures, ...seconds }) => ({
    name,
    ...figures,
    forward: median(seconds.forward),
    backward: median(seconds.backward),
    step: median(seconds.step),
  }));
  say(
    "variant | encoder error | box error px | logit error | loss error | 1 − gradient cosine | at the same choices | saved for backward | forward s | backward s",
  );
  for (const r of table)
    say(
      [
        r.name,
        ...[r.memory_error, r.box_error_px, r.logit_error, r.loss_error].map((error) => error.toExponential(1)),
        ...[r.gradient_cosine, r.rounding_cosine].map((cosine) => (1 - cosine).toExponential(1)),
        `${(r.saved_bytes / 2 ** 20).toFixed(0)} MiB`,
        r.forward.toFixed(3),
        r.backward.toFixed(3),
      ].join(" | "),
    );
  return {
    bench: "precision ablation",
    machine,
    model: values.model,
    batch,
    precision,
    rounds,
    judge_loss: truth.loss,
    variants: table,
  };
}

function ties() {
  const model = filled();
  const base = keep(fillImages(batch, config.resolution, config.resolution));
  const report = {};
  /** @type {[name: string, autocast: Autocast][]} */
  const variants = [
    ["32-true", new Autocast("32-true")],
    ["bf16-mixed, pytorch-cuda", new Autocast("bf16-mixed", { policy: cudaPolicy })],
    ["16-mixed, pytorch-cuda", new Autocast("16-mixed", { policy: cudaPolicy })],
    ["bf16-mixed, ours", new Autocast("bf16-mixed", { overrides: modelOverrides })],
  ];
  for (const [name, autocast] of variants) {
    const losses = [];
    for (let run = 0; run < Number(values.runs); run++)
      noGrad(() =>
        scope(() => {
          const images = base.mul(1 + run * 1e-6);
          losses.push(
            criterion
              .compute(
                autocast.run(() => model.call(images)),
                targets,
                { training: true },
              )
              .total.item(),
          );
        }),
      );
    autocast.clearCache();
    const mean = losses.reduce((a, b) => a + b) / losses.length;
    report[name] = {
      mean,
      deviation: Math.sqrt(losses.reduce((s, x) => s + (x - mean) ** 2, 0) / (losses.length - 1)),
      min: Math.min(...losses),
      max: Math.max(...losses),
    };
    say(
      `${name}: ${mean.toFixed(5)} ± ${report[name].deviation.toFixed(5)}, ${report[name].min.toFixed(5)} … ${report[name].max.toFixed(5)}`,
    );
  }
  return {
    bench: "precision ties",
    machine,
    model: values.model,
    batch,
    runs: Number(values.runs),
    total_loss: report,
  };
}

const commands = { overhead, ablation, ties };
const command = commands[positionals[0]];
if (command === undefined) {
  say(`Expected one of ${Object.keys(commands).join(", ")} but received ${positionals[0]}`);
  process.exit(2);
}
process.stdout.write(`${JSON.stringify(command(), null, 2)}\n`);
