// Optimizer steps with everything in float64, and what is compared of weights after them.
import { optim, scope, type Tensor } from "@rfdetr/torch";
import type { Target } from "../data/target.js";
import { uniforms } from "../instruments/peers/deterministic-fill.js";
import type { RFDETRModel } from "../model/rfdetr.js";
import type { Ema } from "../train/step/ema.js";
import type { StepParts } from "../train/step/step-parts.js";

/** Images as the model takes them, in float64, with their targets. */
export interface ExactBatch {
  images: Tensor;
  targets: readonly Target[];
}

/** A training step in float64, criterion included, which production never does. */
export function exactStep(
  { model, criterion, optimizer, clipMaxNorm }: StepParts,
  ema: Ema,
  batches: readonly ExactBatch[],
): { loss: number; gradNorm: number; terms: Map<string, number> } {
  const terms = new Map<string, number>();
  let loss = 0;
  optimizer.zeroGrad();
  for (const { images, targets } of batches)
    scope(() => {
      const { total, terms: own } = criterion.compute(model.call(images), targets, { training: true });
      for (const [name, term] of own) terms.set(name, (terms.get(name) ?? 0) + term.item() / batches.length);
      loss += total.item() / batches.length;
      total.mul(1 / batches.length).backward();
    });
  const gradNorm = optim.gradientNorm(optimizer.parameters);
  optimizer.step({ gradientScale: Math.min(1, clipMaxNorm / (gradNorm + 1e-6)), average: ema.advance() });
  return { loss, gradNorm, terms };
}

/** Norm and projection of the weights of a parameter group, and of their averages. */
export interface GroupMarks {
  weights: [number, number];
  averages: [number, number];
}

/** What is compared of the weights of each parameter group. */
export function groupMarks(model: RFDETRModel, groups: readonly optim.ParameterGroup[], ema: Ema): GroupMarks[] {
  const names = new Map([...model.namedParameters()].map(([name, parameter]) => [parameter as Tensor, name]));
  const averages = ema.state().tensors;
  return groups.map((group) => ({
    weights: marks(names, group, (_, parameter) => parameter),
    averages: marks(names, group, (name) => averages.get(name) as Tensor),
  }));
}

function marks(
  names: Map<Tensor, string>,
  group: optim.ParameterGroup,
  of: (name: string, parameter: Tensor) => Tensor,
): [number, number] {
  let [squares, projection] = [0, 0];
  for (const parameter of group.params) {
    const name = names.get(parameter) as string;
    const values = scope(() => of(name, parameter).detach().double().flatten().toArray() as Float64Array);
    const probe = uniforms(`probe ${name}`, values.length);
    values.forEach((v, i) => {
      squares += v * v;
      projection += v * probe[i];
    });
  }
  return [Math.sqrt(squares), projection];
}
