// The precision of a training goes with its weights: evaluated and served alone, they have the bits of the run.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CastMap, type PrecisionRequest, resolvePrecision } from "@rfdetr/amp";
import { noGrad, randn, scope } from "@rfdetr/torch";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { synthesize } from "../src/data/index.js";
import { CocoEvaluator } from "../src/eval/coco/coco.js";
import type { EvaluatedImage } from "../src/eval/coco/evaluated-image.js";
import { evaluateWeights } from "../src/eval/evaluate-weights.js";
import { Predictor } from "../src/predict/predict.js";
import { openTrainData } from "../src/run/session/open-train-data.js";
import { train } from "../src/run/trainer.js";
import { resolveSettings } from "../src/settings/resolve.js";
import { readWeights, saveWeights } from "../src/weights/weights.js";

const folder = mkdtempSync(join(tmpdir(), "trained-"));
const data = join(folder, "data");
beforeAll(() => synthesize(data, { images: 12, size: 64, classes: 2 }));
afterAll(() => rmSync(folder, { recursive: true }));

/** What an evaluation finds, image by image. */
async function found(evaluation: () => Promise<unknown>): Promise<EvaluatedImage["detections"][]> {
  const added = vi.spyOn(CocoEvaluator.prototype, "addImage");
  try {
    await evaluation();
    return added.mock.calls.map(([{ detections }]) => detections);
  } finally {
    added.mockRestore();
  }
}

/** Trains a few steps. @returns its weights, and what its own evaluation found */
async function run(name: string, recipe: object) {
  const outputDir = join(folder, name);
  const settings = resolveSettings({
    model: "tiny",
    datasetDir: data,
    outputDir,
    seed: 1,
    epochs: 1,
    maxSteps: 3,
    batchSize: 2,
    evalBatchSize: 1,
    lr: 1e-3,
    multiScale: "off",
    useEma: false,
    monitorInterval: 0,
    tensorboard: false,
    ...recipe,
  });
  const own = await found(async () => {
    for await (const _ of train({ settings, resume: null, stop: new Int32Array(1) }, openTrainData));
  });
  return { weights: join(outputDir, "weights", "best.safetensors"), own };
}

const evaluated = (weights: string, precision: PrecisionRequest) =>
  found(() => evaluateWeights(weights, { data, split: "valid", batch: 1, precision, device: "cpu" }));

/** The reasons for the rules of the norms in a predictor of weights: each policy has its own. */
function reasonsOfNorms(weights: string): string[] {
  const predictor = Predictor.load(weights, { precision: "bf16-mixed", device: "cpu" });
  const map = new CastMap();
  map.watch(() => noGrad(() => scope(() => void predictor.forward(randn([1, 3, 96, 96])))));
  predictor.dispose();
  return map.rows.filter(({ operator }) => operator === "layer_norm").map(({ reason }) => reason);
}

it("fp16_eval evaluates in float16 with the policy and the overrides of the run", async () => {
  const recipe = { precisionOperators: { linear: "fp32" }, precisionOverrides: { bbox_embed: "bf16" } };
  const { weights, own } = await run("fp16-eval", { ...recipe, precision: "bf16-mixed", fp16Eval: true });
  expect(await evaluated(weights, "16-mixed")).toEqual(own);
  expect(await evaluated(weights, "bf16-mixed")).not.toEqual(own);
  const file = join(dirname(dirname(weights)), "evaluation.json");
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ origin: { precision: "16-mixed" } });
});

it("a number format is emulated in the evaluation of the weights as in that of the run, unless it is left out", async () => {
  const { weights, own } = await run("number-format", { precision: "bf16-mixed", numberFormat: "mxfp4" });
  expect(await evaluated(weights, "bf16-mixed")).toEqual(own);
  const plain = { data, split: "valid", batch: 1, precision: "bf16-mixed", device: "cpu", numberFormat: null } as const;
  expect(await found(() => evaluateWeights(weights, plain))).not.toEqual(own);
  const image = join(data, "valid", readdirSync(join(data, "valid")).find((file) => file.endsWith(".jpg")) ?? "");
  const scores = async (numberFormat?: "fp8" | null) => {
    const given = numberFormat === undefined ? {} : { numberFormat };
    const predictor = Predictor.load(weights, { precision: "bf16-mixed", device: "cpu", ...given });
    const { detections } = await predictor.detect(image, { threshold: 0 });
    predictor.dispose();
    return [predictor.info.numberFormat, detections.map(({ score }) => score)] as const;
  };
  const [trained, none, other] = [await scores(), await scores(null), await scores("fp8")];
  expect([trained[0], none[0], other[0]]).toEqual(["mxfp4", null, "fp8"]);
  expect(none[1]).not.toEqual(trained[1]);
  expect(other[1]).not.toEqual(none[1]);
});

describe("weights of a run", () => {
  // A CPU without units for bfloat16 takes it only by name.
  const byDefault = (precision: "32-true" | "bf16-mixed") =>
    resolvePrecision(precision, "cpu").note === null ? "auto" : precision;

  it.each([
    ["in float32", { precision: "32-true" }],
    ["with a policy", { precision: "bf16-mixed", precisionPolicy: "pytorch-cuda" }],
    ["with a row of the policy", { precision: "bf16-mixed", precisionOperators: { linear: "fp32" } }],
    ["with an override", { precision: "bf16-mixed", precisionOverrides: { "transformer.decoder": "fp32" } }],
    [
      "with an override that came while it trained",
      { precision: "bf16-mixed", precisionChanges: [{ step: 3, pattern: "bbox_embed", rule: "fp32" }] },
    ],
  ] as const)(
    "%s: val and predict have the bits of its own evaluation, and not those of foreign weights",
    async (name, recipe) => {
      const { weights, own } = await run(name, recipe);
      expect(own.length).toBeGreaterThan(0);
      const precision = byDefault(recipe.precision);
      expect(await evaluated(weights, precision)).toEqual(own);

      const images = readdirSync(join(data, "valid"))
        .filter((file) => file.endsWith(".jpg"))
        .sort();
      const predictor = Predictor.load(weights, { precision, device: "cpu" });
      for (const [i, image] of images.entries()) {
        const { detections } = await predictor.detect(join(data, "valid", image), { threshold: 0 });
        // predict leaves out the row without a class.
        const named = [...own[i].scores].filter((_, j) => Number(own[i].labels[j]) < predictor.classNames.length);
        expect(detections.map(({ score }) => score)).toEqual(named.slice(0, detections.length));
      }
      predictor.dispose();

      const { trained: _, ...foreign } = readWeights(weights);
      const copy = join(folder, `${name}.safetensors`);
      saveWeights(copy, foreign.tensors, { ...foreign, extra: {} });
      for (const tensor of foreign.tensors.values()) tensor.dispose();
      // The bits of two policies differ in this model only where scores tie.
      if ("precisionPolicy" in recipe) expect(reasonsOfNorms(copy)).not.toEqual(reasonsOfNorms(weights));
      else expect(await evaluated(copy, "bf16-mixed")).not.toEqual(own);
    },
  );
});
