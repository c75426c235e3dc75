// @ts-check
// The same weights and images on the CPU and on the device.
import { noGrad, scope } from "@rfdetr/torch";
import { fillImages, fillModel } from "rfdetr/instruments";
import { Criterion } from "rfdetr/loss";
import { modelAutocast, RFDETRModel, resolveModel } from "rfdetr/model";
import { targetsFor } from "./targets.mjs";

/** Largest differences of logits and boxes to the CPU in float32: sums of another order. */
const limits = { predLogits: 2e-2, predBoxes: 2e-3 };

export async function parity(report, { device, model: variant }) {
  if (device === "meta") return report.leave("it compares values");
  await report.step(`forward of ${variant} on both`);
  const config = resolveModel(variant);
  const [reference, tested] = [new RFDETRModel(config), new RFDETRModel(config)];
  for (const model of [reference, tested]) fillModel(model);
  tested.to(device);
  const images = fillImages(2, config.resolution, config.resolution);
  const exact = modelAutocast(tested, { precision: "32-true" });
  const largest = (a, b) => a.to("cpu").double().sub(b.double()).abs().max().item();
  noGrad(() =>
    scope(() => {
      const expected = reference.eval().call(images);
      const found = exact.run(() => tested.eval().call(images.to(device)));
      for (const [name, limit] of Object.entries(limits))
        report.atMost(`${name}, float32, largest difference to the CPU`, largest(found[name], expected[name]), limit);
    }),
  );
  await report.step(`loss and gradients of ${variant} on both`);
  const criterion = new Criterion({ groupDetr: config.groupDetr });
  const [a, b] = [reference, tested].map((model) => {
    const place = model === tested ? device : "cpu";
    return scope(() => {
      const outputs = exact.run(() => model.train().call(images.to(place)));
      const { total } = criterion.compute(outputs, targetsFor(config, 2), { training: true });
      total.backward();
      return total.item();
    });
  });
  // Near-tied proposals swap ranks between devices, which moves the total by up to 3e-3.
  report.atMost("training loss, float32, difference to the CPU", Math.abs(a - b), 1e-2);
  report.atLeast("gradients, float32, cosine to the CPU", cosine(reference, tested), 0.999);
}

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
