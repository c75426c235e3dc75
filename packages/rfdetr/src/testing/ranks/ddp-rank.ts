// One of the processes of train/parity/ddp-parity.test.ts: ten steps of `tiny` in float64, with the steps of
// tools/reference/ddp_goldens.py. Arguments: rank, port of the store, the golden file. It sends what it computed.

import { readFileSync } from "node:fs";
import { distributed, noGrad, ops, optim, scope, type Tensor, tensor } from "@rfdetr/torch";
import { fillModel, uniforms } from "../../instruments/peers/deterministic-fill.js";
import { boxesOf, Criterion } from "../../loss/criterion.js";
import { resizeImages } from "../../model/images/preprocess.js";
import { RFDETRModel } from "../../model/rfdetr.js";
import { resolveModel } from "../../model/variants.js";
import { sidesOf } from "../../support/shape.js";
import { parameterGroups } from "../../train/parameters/parameter-groups.js";
import { scaleOfStep, trainingScales } from "../../train/schedule/multi-scale.js";
import { meanBoxes } from "../../train/step/whole-step.js";
import { referenceImages, referenceTarget } from "./reference-batch.js";

/** What a process computed in one step. */
export interface DdpStep {
  size: number;
  loss: number;
  terms: Record<string, number>;
  gradient_norm: number;
  /** Norm and projection of the gradient of each parameter, in the order of the names; null without a gradient. */
  gradients: ([norm: number, projection: number] | null)[];
}

/** The file that the steps are compared with. */
export interface DdpGolden {
  /** Boxes of the images of each step, those of the first process first. */
  boxes: number[][];
  names: string[];
  steps: (Pick<DdpStep, "size" | "gradient_norm" | "gradients"> & { ranks: Pick<DdpStep, "loss" | "terms">[] })[];
}

const [rank, port, file] = [Number(process.argv[2]), Number(process.argv[3]), process.argv[4]];
const { boxes, names } = JSON.parse(readFileSync(file, "utf8")) as DdpGolden;
const size = 2;

const config = resolveModel("tiny");
const model = new RFDETRModel(config);
fillModel(model);
scope(() => void model.to("float64"));
model.train();
const parameters = new Map<string, Tensor>(model.namedParameters());
const criterion = new Criterion({ groupDetr: config.groupDetr });
const optimizer = new optim.AdamW(
  parameterGroups(model, {
    lr: 4e-4,
    lrEncoder: 6e-4,
    lrVitLayerDecay: 0.8,
    lrComponentDecay: 0.7,
    weightDecay: 1e-2,
  }),
);
const scales = trainingScales(config, { expanded: true });
const side = Math.max(...scales.map((scale) => sidesOf(scale)[0]));
const place = { address: "127.0.0.1", port, isStoreServer: rank === 0, timeoutSeconds: 60 };
const group = distributed.ProcessGroup.join({ rank, size, ...place });
const reducer = new distributed.Reducer(group, parameters, { bucketBytes: 1 << 18 });

function marks(name: string, { grad }: Tensor): [number, number] | null {
  if (grad === null) return null;
  const values = scope(() => grad.flatten().toArray() as Float64Array);
  const probe = uniforms(`probe ${name}`, values.length);
  let [squares, projection] = [0, 0];
  values.forEach((v, i) => {
    squares += v * v;
    projection += v * probe[i];
  });
  return [Math.sqrt(squares), projection];
}

const steps = boxes.map((counts, step): DdpStep => {
  const number = step * size + rank;
  const targets = [0, 1].map((i) => referenceTarget(2 * number + i, counts[2 * rank + i]));
  const [length] = sidesOf(scaleOfStep(step, scales));
  optimizer.zeroGrad();
  const { loss, terms } = scope(() => {
    const images = tensor(referenceImages(number, side), { shape: [2, 3, side, side] }).double();
    const outputs = model.call(noGrad(() => resizeImages(images, length, length)));
    const mean = meanBoxes(group.allGatherObjects(boxesOf(targets)));
    const { total, terms } = criterion.compute(outputs, targets, { training: true, boxes: mean });
    // The gradients of the ranks are added up, where the package takes their mean.
    reducer.backward(ops.div(total, size) as Tensor);
    return { loss: total.item(), terms: Object.fromEntries([...terms].map(([name, term]) => [name, term.item()])) };
  });
  const gradients = names.map((name) => marks(name, parameters.get(name) as Tensor));
  const norm = optim.gradientNorm(optimizer.parameters);
  optimizer.step({ gradientScale: Math.min(1, 0.1 / (norm + 1e-6)) });
  return { size: length, loss, terms, gradient_norm: norm, gradients };
});
reducer.dispose();
group.leave();
process.send?.({ steps, parameters: [...parameters.keys()] }, () => process.exit(0));
