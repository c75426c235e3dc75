#!/usr/bin/env node
// @ts-check
// What a low precision does to the gradient by rounding, and what by other choices among values that are nearly equal:
// the order of the selected queries, the matches, the points at which masks are compared.
//
//   npm run build && node bench/choices.mjs [--model seg-tiny] [--batch 2] [--seeds 4] [--precision bf16-mixed]
//                                           [--weights FILE] [--data DIR]
//
// Every figure is the cosine of a gradient to that of the same step in float64, the mean over seeds of weights and of
// images of noise (one, with --weights or --data). One JSON object goes to stdout, tables to stderr.
import { parseArgs } from "node:util";
import { Choices } from "@rfdetr/amp";
import { getRngState, intercept, keep, manualSeed, scope, setRngState, tensor } from "@rfdetr/torch";
import { openSubject } from "rfdetr/instruments";
import { Criterion } from "rfdetr/loss";
import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";
import { machineLine } from "rfdetr/support";
import { prepareImages, randomBatch } from "rfdetr/train";
import { cosine } from "./cosine.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string", default: "seg-tiny" },
    batch: { type: "string", default: "2" },
    seeds: { type: "string", default: "4" },
    precision: { type: "string", default: "bf16-mixed" },
    weights: { type: "string" },
    data: { type: "string" },
  },
});
const precision = /** @type {import("@rfdetr/amp").Precision} */ (values.precision);
const batch = Number(values.batch);
const given = values.weights !== undefined || values.data !== undefined;

/** The loss with some of its terms alone. Matches weigh all terms in each of them. */
const losses = {
  "all terms": {},
  classes: { weights: { ce: 1, bbox: 0, giou: 0 }, masks: { ce: 0, dice: 0 } },
  boxes: { weights: { ce: 0, bbox: 5, giou: 2 }, masks: { ce: 0, dice: 0 } },
  "masks, cross-entropy": { weights: { ce: 0, bbox: 0, giou: 0 }, masks: { dice: 0 } },
  "masks, Dice": { weights: { ce: 0, bbox: 0, giou: 0 }, masks: { ce: 0 } },
};
/** @type {Record<string, import("@rfdetr/amp").Overrides>} */
const parts = {
  "mask head": { segmentation_head: "fp32" },
  decoder: { "transformer.decoder": "fp32" },
  encoder: { "backbone.*.encoder": "fp32" },
  projector: { "backbone.*.projector": "fp32" },
  "encoder and projector": { backbone: "fp32" },
  "encoder, projector and decoder": { backbone: "fp32", "transformer.decoder": "fp32" },
};

async function subjectOf(seed) {
  const { weights, data } = values;
  if (given) return await openSubject({ model: values.model, batch, device: "cpu", weights, data });
  manualSeed(seed);
  const config = resolveModel(values.model);
  const model = new RFDETRModel(config).train();
  return { model, batch: randomBatch(batch, config.resolution, config.numClasses, 8, config.segmentationHead) };
}

/** The ranks of the query selection in a random order, which every step of a seed shares. */
function shuffled(body) {
  const remove = intercept(({ op, args, module }, next) => {
    const result = next(args);
    if (op.base !== "topk" || !module?.path.includes("query_selection")) return result;
    const count = /** @type {import("@rfdetr/torch").Tensor[]} */ (result)[1].shape[2];
    const keys = Array.from({ length: count }, (_, i) => [Math.sin(12.9898 * i) % 1, i]).sort((a, b) => a[0] - b[0]);
    const order = tensor(BigInt64Array.from(keys, ([, i]) => BigInt(i)));
    return /** @type {import("@rfdetr/torch").Tensor[]} */ (result).map((x) => x.indexSelect(-1, order));
  });
  try {
    return body();
  } finally {
    remove();
  }
}

/** @returns {Record<string, number>} the cosine of each row */
function measure({ model, batch: micro }) {
  const images = keep(prepareImages(micro, null, "cpu"));
  const random = keep(getRngState("cpu"));
  const plain = modelAutocast(model, { precision: "32-true" });
  /** @type {(choices: Choices | null, how: "record" | "repeat", body: () => any) => any} */
  const choosing = (choices, how, body) => (choices === null ? body() : choices[how](body));
  /**
   * The gradients of a step; `selection` has the choices of forward, `rest` those of the loss. They are recorded in
   * float64, and repeated otherwise.
   */
  const gradients = (autocast, input, options = {}) => {
    /** @type {{ selection?: Choices | null, rest?: Choices | null, loss?: object, how?: "record" | "repeat" }} */
    const { selection = null, rest = null, loss = {}, how = "repeat" } = options;
    for (const p of model.parameters()) p.grad = null;
    setRngState(random, "cpu");
    scope(() => {
      const outputs = choosing(selection, how, () => autocast.run(() => model.call(input)));
      setRngState(random, "cpu");
      const criterion = new Criterion({ groupDetr: model.config.groupDetr, ...loss });
      const total = () => criterion.compute(outputs, micro.targets, { training: true }).total;
      choosing(rest, how, total).backward();
    });
    autocast.clearCache();
    return model.parameters().map((p) => p.grad && keep(p.grad.double()));
  };
  const [selection, rest] = [new Choices(), new Choices()];
  scope(() => void model.to("float64"));
  const wide = keep(images.double());
  const exact = gradients(plain, wide, { selection, rest, how: "record" });
  const masked = model.config.segmentationHead;
  const terms = Object.entries(losses).filter(([name]) => masked || !name.startsWith("masks"));
  const exactTerms = terms.map(([, loss]) => gradients(plain, wide, { selection, rest, loss }));
  const found = {
    "float64, images rounded to bfloat16": cosine(gradients(plain, wide.to("bfloat16").double()), exact),
    "float64, selected queries in random order": cosine(
      shuffled(() => gradients(plain, wide)),
      exact,
    ),
  };
  for (const p of model.parameters()) p.grad = null;
  scope(() => void model.to("float32"));
  const low = (overrides = {}) => modelAutocast(model, { precision, overrides });
  const add = (name, options, overrides = {}, to = exact) => {
    found[name] = cosine(gradients(low(overrides), images, options), to);
  };
  add("own choices", {});
  add("the selection of float64", { selection });
  add("all choices of float64", { selection, rest });
  terms.forEach(([name, loss], i) => {
    add(`${name}: own choices`, { loss }, {}, exactTerms[i]);
    add(`${name}: all choices of float64`, { selection, rest, loss }, {}, exactTerms[i]);
  });
  for (const [name, overrides] of Object.entries(parts)) {
    if (!masked && name === "mask head") continue;
    add(`${name} in float32: own choices`, {}, overrides);
    add(`${name} in float32: all choices of float64`, { selection, rest }, overrides);
  }
  return found;
}

const seeds = given ? 1 : Number(values.seeds);
/** @type {Record<string, number>[]} */
const runs = [];
for (let seed = 0; seed < seeds; seed++) runs.push(measure(await subjectOf(seed)));
const figures = Object.keys(runs[0]).map((name) => {
  const list = runs.map((run) => run[name]);
  return { name, mean: list.reduce((a, b) => a + b) / seeds, least: Math.min(...list), largest: Math.max(...list) };
});
for (const { name, mean, least, largest } of figures)
  process.stderr.write(`${name} | ${mean.toFixed(5)} | ${least.toFixed(5)} … ${largest.toFixed(5)}\n`);
const report = { bench: "choices", machine: machineLine(), model: values.model, batch, seeds, precision, figures };
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
