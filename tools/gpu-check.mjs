#!/usr/bin/env node
// @ts-check
// Checks a GPU: builds the addon against an installed CUDA libtorch, compares the detector with the CPU, trains a
// little, times steps.
//
//   LIBTORCH=… node tools/gpu-check.mjs [--device cuda:0] [--model nano] [--batch 4]
//
// Without a GPU, or with a libtorch built without CUDA, it says so and exits with 1. `--device cpu` runs the same
// checks on the CPU.
import { parseArgs } from "node:util";
import { setupOrExit } from "../packages/torch/setup/main.mjs";

const { values } = parseArgs({
  options: {
    device: { type: "string", default: "cuda:0" },
    model: { type: "string", default: "nano" },
    batch: { type: "string", default: "4" },
  },
});
const { device, model: variant } = values;
const batch = Number(values.batch);
await setupOrExit();
const { engine, manualSeed, noGrad, optim, randn, scope, zeros } = await import("@rfdetr/torch");
const { precisions } = await import("@rfdetr/amp");
const { fillImages, fillModel, fillTargets } = await import("rfdetr/instruments");
const { Criterion } = await import("rfdetr/loss");
const { modelAutocast, RFDETRModel, resolveModel } = await import("rfdetr/model");

if (device.startsWith("cuda")) {
  if (!engine().cuda) {
    console.error(
      `libtorch ${engine().version} sees no GPU: it was built without CUDA, or there is no device and driver. Point LIBTORCH at a CUDA libtorch on a machine with a GPU, or run npx rfdetr setup --cuda there.`,
    );
    process.exit(1);
  }
  try {
    zeros([1], { device }).dispose();
  } catch (error) {
    console.error(`${device} cannot be used: ${error.message.split("\n")[0]}`);
    process.exit(1);
  }
}

const rows = [];
let failed = false;
function check(name, value, limit, unit = "") {
  const ok = value <= limit;
  failed ||= !ok;
  rows.push([name, `${value.toExponential(2)}${unit}`, `≤ ${limit}`, ok ? "ok" : "FAILED"]);
}

/** Targets of the golden numbers, with labels that the model has. */
const targetsFor = (config, count) =>
  fillTargets(count).map((target) => ({ ...target, labels: target.labels.map((label) => label % config.numClasses) }));

/** Seconds of `body`; reading a value waits for the device. */
function timed(body) {
  const start = performance.now();
  body();
  return (performance.now() - start) / 1000;
}

// Parity: the same weights and images on both.
{
  const config = resolveModel(variant);
  const reference = new RFDETRModel(config);
  const tested = new RFDETRModel(config);
  for (const model of [reference, tested]) fillModel(model);
  tested.to(device);
  const images = fillImages(2, config.resolution, config.resolution);
  noGrad(() =>
    scope(() => {
      const [a, b] = [reference.eval().call(images), tested.eval().call(images.to(device))];
      check(
        `${variant}: largest logit difference to the CPU, float32`,
        b.predLogits.to("cpu").sub(a.predLogits).abs().max().item(),
        2e-2,
      );
      check(
        `${variant}: largest box difference to the CPU, float32`,
        b.predBoxes.to("cpu").sub(a.predBoxes).abs().max().item(),
        2e-3,
      );
    }),
  );
  const criterion = new Criterion({ groupDetr: config.groupDetr });
  const losses = [reference, tested].map((model) =>
    scope(() => {
      const outputs = model.train().call(images.to(model === tested ? device : "cpu"));
      return criterion.compute(outputs, targetsFor(config, 2), { training: true }).total.item();
    }),
  );
  // Near-tied proposals swap ranks between devices, which moves the total by up to 3e-3.
  check(`${variant}: training loss difference to the CPU, float32`, Math.abs(losses[0] - losses[1]), 1e-2);
}

// Training and time, in every precision.
for (const precision of precisions) {
  manualSeed(1);
  const tiny = resolveModel("tiny");
  const learn = (config, count, images, targets) => {
    const model = new RFDETRModel(config).to(device).train();
    const autocast = modelAutocast(model, { precision });
    const criterion = new Criterion({ groupDetr: config.groupDetr });
    const optimizer = new optim.AdamW([{ params: model.parameters(), lr: 5e-4, weightDecay: 1e-4 }]);
    const losses = [];
    const seconds = [];
    for (let i = 0; i < count; i++)
      seconds.push(
        timed(() =>
          scope(() => {
            optimizer.zeroGrad();
            const { total } = criterion.compute(
              autocast.run(() => model.call(images)),
              targets,
              { training: true },
            );
            total.backward();
            optim.clipGradNorm(optimizer.parameters, 0.1);
            optimizer.step();
            autocast.clearCache();
            losses.push(total.item());
          }),
        ),
      );
    return { losses, seconds };
  };
  const small = learn(tiny, 40, randn([2, 3, 96, 96]).to(device), targetsFor(tiny, 2));
  check(`tiny in ${precision}: loss after 40 steps over loss before`, small.losses.at(-1) / small.losses[0], 0.8);
  const config = resolveModel(variant);
  const { seconds } = learn(
    config,
    5,
    randn([batch, 3, config.resolution, config.resolution]).to(device),
    targetsFor(config, batch),
  );
  rows.push([
    `${variant} in ${precision}: step at batch ${batch}`,
    `${Math.min(...seconds.slice(2)).toFixed(3)} s`,
    "",
    "",
  ]);
}

const widths = [0, 1, 2, 3].map((column) => Math.max(...rows.map((row) => row[column].length)));
console.log(`libtorch ${engine().version} on ${device}\n`);
for (const row of rows)
  console.log(
    row
      .map((cell, i) => cell.padEnd(widths[i]))
      .join("  ")
      .trimEnd(),
  );
process.exit(failed ? 1 : 0);
