// A training step on a device of its own. `meta` stands for a GPU: its tensors have shapes, dtypes and a device, and no
// values. What would wait for a GPU, or leave a tensor on the CPU, is listed here with its reason.
import { Monitor, type Precision, precisions } from "@rfdetr/amp";
import { memory, noGrad, scope, type Tensor, withDevice } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { postprocess, toArrays } from "../../model/images/postprocess.js";
import { modelAutocast } from "../../model/precision/precision.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel, variants } from "../../model/variants.js";
import { resolveSettings } from "../../settings/resolve.js";
import { counted, trafficWith } from "../../testing/device-traffic.js";
import { randomBatch } from "../measure/random-batch.js";
import { trainingStep } from "./step.js";
import { averageOf, prepareImages, stepParts } from "./step-parts.js";

const device = "meta";
const every = precisions.filter((precision) => precision !== "tf32"); // which changes no shape

function partsOf(variant: string, precision: Precision) {
  const config = resolveModel(variant);
  const model = withDevice(device, () => new RFDETRModel(config)).train();
  const settings = resolveSettings({ datasetDir: "-", model: variant });
  return {
    config,
    settings,
    model,
    parts: stepParts(model, settings, { precision, device }),
    ema: averageOf(model, settings),
  };
}

const elsewhere = (tensors: Iterable<readonly [string, Tensor | null]>): string[] =>
  [...tensors].flatMap(([name, tensor]) => (tensor !== null && tensor.device !== device ? [name] : []));

/** What a step must read: the costs, because the assignment is solved on the CPU; the terms of the loss; the norm. */
const reads = { "loss/matcher.ts": 1, "train/step/step.ts": 1, "optim/clip.ts": 1 };

describe.each(["tiny", "nano", "seg-tiny"])("a step of %s on a device of its own", (variant) => {
  it.each(every)("in %s reads only what its record and the assignment need", (precision) => {
    const { config, parts, ema } = partsOf(variant, precision);
    const batch = randomBatch(2, config.resolution, config.numClasses, 3, config.segmentationHead);
    const step = () => trafficWith(device, () => expect(trainingStep(parts, [batch], { ema }).applied).toBe(true));
    step(); // makes what is kept
    const traffic = step();
    expect(counted(traffic.reads)).toEqual(reads);
    expect([traffic.waits, traffic.mixed]).toEqual([[], []]);
    expect(elsewhere(parts.model.stateDict())).toEqual([]);
    const { expAvg, expAvgSq } = parts.optimizer.stateDict();
    expect(elsewhere([...expAvg, ...expAvgSq].map((moment, i) => [`moment ${i}`, moment] as const))).toEqual([]);
    expect(elsewhere(ema?.state().tensors ?? [])).toEqual([]);
  });

  it("reads the costs and the loss once for each micro-batch, and the norm once", () => {
    const { config, parts } = partsOf(variant, "16-mixed");
    const batch = randomBatch(1, config.resolution, config.numClasses, 3, config.segmentationHead);
    const traffic = trafficWith(device, () => void trainingStep(parts, [batch, batch, batch]));
    expect(counted(traffic.reads)).toEqual({ "loss/matcher.ts": 3, "train/step/step.ts": 3, "optim/clip.ts": 1 });
  });

  it("copies to the device only images, targets, matches and constants", () => {
    const { config, parts, ema } = partsOf(variant, "bf16-mixed");
    const batch = randomBatch(2, config.resolution, config.numClasses, 3, config.segmentationHead);
    const { uploads } = trafficWith(device, () => void trainingStep(parts, [batch], { ema }));
    expect(Object.keys(counted(uploads)).sort()).toEqual([
      "loss/criterion.ts", // pairs of the assignment, with their boxes
      ...(config.segmentationHead ? ["loss/masks.ts"] : []), // the matched queries of an image
      "loss/matcher.ts", // labels and boxes of the targets
      ...(config.segmentationHead ? ["loss/true-masks.ts"] : []), // the runs of all masks, and where each begins
      "model/decoder/query-selection.ts", // centres of the grid
      "model/decoder/sine-embedding.ts", // frequencies
      "model/images/preprocess.ts", // images, and the mean and deviation of their channels
    ]);
  });

  it("gives gradients of the parameters' dtype and device", () => {
    const { config, parts } = partsOf(variant, "bf16-mixed");
    const { images, targets } = { ...randomBatch(1, config.resolution, config.numClasses, 3, config.segmentationHead) };
    trafficWith(device, () =>
      scope(() => {
        const input = prepareImages(
          { images, targets, height: config.resolution, width: config.resolution },
          null,
          device,
        );
        const outputs = parts.autocast.run(() => parts.model.call(input));
        parts.criterion.compute(outputs, targets, { training: true }).total.backward();
      }),
    );
    for (const [name, parameter] of parts.model.namedParameters()) {
      const { grad } = parameter;
      if (grad === null) continue;
      expect(`${name} ${grad}`).toBe(`${name} Tensor(float32[${parameter.shape}]@${device})`);
    }
  });
});

it("recomputes checkpointed layers on a device of its own, where backward runs on another thread", () => {
  const { config, model, parts } = partsOf("tiny", "bf16-mixed");
  model.checkpointing = true;
  const batch = randomBatch(1, config.resolution, config.numClasses, 3, config.segmentationHead);
  const step = () => trafficWith(device, () => void trainingStep(parts, [batch]));
  step();
  const before = memory().liveTensors;
  const traffic = step();
  expect(counted(traffic.reads)).toEqual(reads);
  expect(memory().liveTensors).toBe(before);
});

it("shows the monitor the activations and the gradients of every module", () => {
  const { config, parts } = partsOf("tiny", "bf16-mixed");
  const monitor = new Monitor();
  const batch = randomBatch(1, config.resolution, config.numClasses, 3, config.segmentationHead);
  let seen = monitor.end();
  trafficWith(device, () => {
    monitor.begin();
    try {
      trainingStep(parts, [batch]);
    } finally {
      seen = monitor.end();
    }
  });
  const { forward, gradient } = seen;
  expect(gradient.length).toBeGreaterThan(20);
  expect(gradient.map(({ path }) => path).filter((path) => !forward.some((seen) => seen.path === path))).toEqual([]);
});

it.each(variants)("predicts with %s on a device of its own, and reads a batch at once", (variant) => {
  const config = resolveModel(variant);
  const model = withDevice(device, () => new RFDETRModel(config)).eval();
  const autocast = modelAutocast(model, { precision: "bf16-mixed" });
  const images = new Uint8Array(2 * config.resolution ** 2 * 3);
  const targets = [0, 1].map((imageId) => ({ imageId, labels: new Int32Array(0), boxes: new Float32Array(0) }));
  const size = { height: config.resolution, width: config.resolution };
  const traffic = trafficWith(device, () =>
    noGrad(() =>
      scope(() => {
        const outputs = autocast.run(() => model.call(prepareImages({ images, targets, ...size }, null, device)));
        const sizes = [
          [480, 640],
          [100, 100],
        ] as const;
        expect(postprocess(outputs, sizes, 10).map((scored) => toArrays(scored).scores.length)).toEqual([10, 10]);
      }),
    ),
  );
  // Scores, labels and boxes; of masks their two factors and the bias.
  const reads = config.segmentationHead ? 6 : 3;
  expect(counted(traffic.reads)).toEqual({ "model/images/postprocess.ts": reads });
  expect([traffic.waits, traffic.mixed]).toEqual([[], []]);
});
