// @ts-check
// The same weights and images on the CPU and on the device: detectors, one of them for rectangles, and masks.
import { Choices } from "@rfdetr/amp";
import { manualSeed, noGrad, rand, scope } from "@rfdetr/torch";
import { fillImages, fillModel } from "rfdetr/instruments";
import { Criterion, defaultMaskOptions } from "rfdetr/loss";
import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";
import { randomBatch } from "rfdetr/train";

/** Largest differences to the CPU in float32: sums of another order. */
const limits = { predLogits: 2e-2, predBoxes: 2e-3, predMasks: 2e-2 };

export async function parity(report, { device, models }) {
  if (device === "meta") return report.leave("it compares values");
  for (const variant of models) await compare(report, device, variant, resolveModel(variant));
  const [first] = models;
  const { resolution } = resolveModel(first);
  const rectangle = /** @type {const} */ ([resolution, 2 * resolution]);
  await compare(report, device, `${first}, ${rectangle.join(" × ")}`, resolveModel(first, { resolution: rectangle }));
}

async function compare(report, device, variant, config) {
  await report.step(`forward of ${variant} on both`);
  const [reference, tested] = [new RFDETRModel(config), new RFDETRModel(config)];
  for (const model of [reference, tested]) fillModel(model);
  tested.to(device);
  const [height, width] = [config.resolution].flat();
  const images = fillImages(2, height, width ?? height);
  const exact = modelAutocast(tested, { precision: "32-true" });
  const largest = (a, b) => a.to("cpu").double().sub(b.double()).abs().max().item();
  /** @param {import("rfdetr/model").Outputs} outputs */
  const outputsOf = ({ predMasks, ...others }) => ({ ...others, predMasks: predMasks && logitsOf(predMasks) });
  // Of proposals whose logits differ in the last digit each device ranks another one first: both take the CPU's ranks.
  const choices = new Choices();
  noGrad(() =>
    scope(() => {
      const expected = outputsOf(choices.record(() => reference.eval().call(images)));
      const found = outputsOf(choices.repeat(() => exact.run(() => tested.eval().call(images.to(device)))));
      for (const [name, limit] of Object.entries(limits))
        if (expected[name] !== undefined)
          report.atMost(
            `${variant}: ${name}, float32, largest difference to the CPU`,
            largest(found[name], expected[name]),
            limit,
          );
    }),
  );
  for (const { operator, places, same } of choices.agreement)
    report.figure(`${variant}: choices of ${operator} that are those of the CPU`, same / places, "");
  choices.dispose();
  await report.step(`loss and gradients of ${variant} on both`);
  // Points of masks from the generator of the CPU, so that both compare the same.
  const draw = (shape, place) => rand([...shape]).to(place);
  const criterion = new Criterion({ groupDetr: config.groupDetr, masks: { ...defaultMaskOptions, draw } });
  manualSeed(1);
  const { targets } = randomBatch(2, config.resolution, config.numClasses, 3, config.segmentationHead);
  const [a, b] = [reference, tested].map((model) => {
    const place = model === tested ? device : "cpu";
    manualSeed(2);
    return scope(() => {
      const outputs = exact.run(() => model.train().call(images.to(place)));
      const { total } = criterion.compute(outputs, targets, { training: true });
      total.backward();
      return total.item();
    });
  });
  // Near-tied proposals swap ranks between devices, which moves the total by up to 3e-3.
  report.atMost(`${variant}: training loss, float32, difference to the CPU`, Math.abs(a - b), 1e-2);
  report.atLeast(`${variant}: gradients, float32, cosine to the CPU`, cosine(reference, tested), 0.999);
}

/** Logits of masks, `[images, queries, pixels]`. */
const logitsOf = ({ spatialFeatures, queryFeatures, bias }) =>
  queryFeatures.matmul(spatialFeatures.flatten(2)).add(bias);

/** The cosine of all gradients of two models. */
function cosine(a, b) {
  let [ab, aa, bb] = [0, 0, 0];
  const others = new Map(b.namedParameters());
  for (const [name, parameter] of a.namedParameters())
    scope(() => {
      const [x, y] = [parameter.grad, others.get(name).grad];
      if (x === null || y === null) return;
      const [p, q] = [x.double(), y.to("cpu").double()];
      ab += p.mul(q).sum().item();
      aa += p.mul(p).sum().item();
      bb += q.mul(q).sum().item();
    });
  return ab / Math.sqrt(aa * bb);
}
