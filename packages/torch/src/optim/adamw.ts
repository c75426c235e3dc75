// AdamW (Loshchilov and Hutter 2019) and the moving average of its weights: a kernel that goes over memory once where
// it applies, and foreach operators elsewhere.
import { noGrad } from "../autograd.js";
import { zeros } from "../create.js";
import { TorchError } from "../errors.js";
import * as ops from "../ops.generated.js";
import { keep, scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { fitsFused, fusedAdamW } from "./fused-adamw.js";

/** Parameters with the same settings. */
export interface ParameterGroup {
  params: Tensor[];
  /** Learning rate; may change between steps. */
  lr: number;
  weightDecay: number;
}

/** A moving average of weights that a step updates. */
export interface MovingAverage {
  /** Every tensor, a weight or anything else of the model, with its average. */
  of: ReadonlyMap<Tensor, Tensor>;
  /** Share of the new value: average ← average + weight·(value − average). */
  weight: number;
}

interface StepTensors {
  groups: ParameterGroup[];
  params: Tensor[];
  gradients: Tensor[];
  expAvg: Tensor[];
  expAvgSq: Tensor[];
}

/** Whether the CPU kernels apply: they need contiguous float32 memory. */
export function fitsKernel(tensors: readonly Tensor[]): boolean {
  return tensors.every((t) => t.dtype === "float32" && t.device === "cpu" && t.isContiguous);
}

/** What a checkpoint keeps of an optimizer. */
export interface AdamWState {
  /** Steps taken so far. */
  step: number;
  /** First and second moments in the order of the groups' parameters. */
  expAvg: Tensor[];
  expAvgSq: Tensor[];
}

/**
 * A state does not belong to the parameters of the optimizer.
 * What to do: load it into the model and the parameter groups that it was saved with.
 */
export class OptimizerStateError extends TorchError {
  readonly code = "ERR_OPTIMIZER_STATE";
}

/**
 * Adam with decoupled weight decay λ and bias-corrected moments: θ ← θ·(1 − lr·λ) − lr·m̂/(√v̂ + ε), as
 * torch.optim.AdamW. A step leaves parameters without a gradient, and their moments, as they are.
 *
 * @example
 * const optimizer = new optim.AdamW([{ params: model.parameters(), lr: 1e-4, weightDecay: 1e-4 }]);
 * optimizer.zeroGrad();
 * loss.backward();
 * optimizer.step();
 */
export class AdamW {
  readonly groups: ParameterGroup[];
  readonly betas: readonly [number, number];
  readonly eps: number;
  #steps = 0;
  #expAvg: Tensor[][];
  #expAvgSq: Tensor[][];

  constructor(groups: ParameterGroup[], options: { betas?: readonly [number, number]; eps?: number } = {}) {
    this.groups = groups;
    this.betas = options.betas ?? [0.9, 0.999];
    this.eps = options.eps ?? 1e-8;
    const like = (group: ParameterGroup): Tensor[] =>
      keep(group.params.map((p) => zeros(p.shape, { dtype: p.dtype, device: p.device })));
    this.#expAvg = groups.map(like);
    this.#expAvgSq = groups.map(like);
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /** The parameters of all groups, in order. */
  get parameters(): Tensor[] {
    return this.groups.flatMap((group) => group.params);
  }

  /**
   * Updates the parameters from their gradients.
   * @param options `gradientScale` multiplies the gradients as they are read, which saves clipping a pass over memory;
   * `average` is updated with the new weights, in the same pass where the kernel applies
   */
  step(options: { gradientScale?: number; average?: MovingAverage | null } = {}): void {
    const { gradientScale = 1, average = null } = options;
    this.#steps++;
    noGrad(() =>
      scope(() => {
        const tensors: StepTensors = { groups: [], params: [], gradients: [], expAvg: [], expAvgSq: [] };
        this.groups.forEach((group, g) => {
          group.params.forEach((parameter, i) => {
            const gradient = parameter.grad;
            if (gradient === null) return;
            tensors.groups.push(group);
            tensors.params.push(parameter);
            tensors.gradients.push(gradient);
            tensors.expAvg.push(this.#expAvg[g]?.[i] as Tensor);
            tensors.expAvgSq.push(this.#expAvgSq[g]?.[i] as Tensor);
          });
        });
        const followed = this.#update(tensors, gradientScale, average);
        if (average === null) return;
        const rest = [...average.of].filter(([tensor]) => !followed.has(tensor));
        if (rest.length > 0)
          ops._foreachLerp_(
            rest.map(([, mean]) => mean),
            rest.map(([tensor]) => tensor),
            average.weight,
          );
      }),
    );
  }

  /** @returns the parameters whose averages are updated */
  #update(tensors: StepTensors, scale: number, average: MovingAverage | null): ReadonlySet<Tensor> {
    const { params, gradients } = tensors;
    if (params.length === 0) return new Set();
    if (!fitsKernel([...params, ...gradients])) {
      for (const group of new Set(tensors.groups)) this.#composed(group, tensors, scale);
      return new Set();
    }
    const means = average === null ? [] : params.flatMap((parameter) => average.of.get(parameter) ?? []);
    const follows = means.length === params.length && fitsKernel(means);
    const [beta1, beta2] = this.betas;
    ops.adamw_(
      params,
      gradients,
      tensors.expAvg,
      tensors.expAvgSq,
      follows ? means : [],
      tensors.groups.map(({ lr }) => lr),
      tensors.groups.map(({ weightDecay }) => weightDecay),
      beta1,
      beta2,
      this.eps,
      this.#steps,
      scale,
      average?.weight ?? 0,
    );
    return new Set(follows ? params : []);
  }

  /** What the kernel computes, composed of operators, for one group. */
  #composed(group: ParameterGroup, all: StepTensors, scale: number): void {
    const own = (list: Tensor[]): Tensor[] => list.filter((_, i) => all.groups[i] === group);
    const [params, gradients] = [own(all.params), own(all.gradients)];
    const [expAvg, expAvgSq] = [own(all.expAvg), own(all.expAvgSq)];
    const [beta1, beta2] = this.betas;
    const scaled = scale === 1 ? gradients : ops._foreachMul(gradients, scale);
    if (fitsFused([...params, ...scaled])) {
      const { betas, eps } = this;
      fusedAdamW({ ...group, params, gradients: scaled, expAvg, expAvgSq, betas, eps, step: this.#steps });
      return;
    }
    if (group.weightDecay !== 0) ops._foreachMul_(params, 1 - group.lr * group.weightDecay);
    ops._foreachLerp_(expAvg, scaled, 1 - beta1);
    ops._foreachMul_(expAvgSq, beta2);
    ops._foreachAddcmul_(expAvgSq, scaled, scaled, { value: 1 - beta2 });
    const denominator = ops._foreachSqrt(expAvgSq);
    ops._foreachDiv_(denominator, Math.sqrt(1 - beta2 ** this.#steps));
    ops._foreachAdd_(denominator, this.eps);
    ops._foreachAddcdiv_(params, expAvg, denominator, { value: -group.lr / (1 - beta1 ** this.#steps) });
  }

  /** Removes the gradients of all parameters. */
  zeroGrad(): void {
    for (const group of this.groups) for (const p of group.params) p.grad = null;
  }

  /** The state for a checkpoint. The tensors are the optimizer's own, not copies. */
  stateDict(): AdamWState {
    return { step: this.#steps, expAvg: this.#expAvg.flat(), expAvgSq: this.#expAvgSq.flat() };
  }

  /**
   * Copies a state into the optimizer.
   * @throws OptimizerStateError when the number or the shapes of tensors differ.
   */
  loadStateDict(state: AdamWState): void {
    for (const name of ["expAvg", "expAvgSq"] as const) {
      const own = this.stateDict()[name];
      const given = state[name];
      const wrong = own.findIndex((tensor, i) => given[i]?.shape.join() !== tensor.shape.join());
      if (own.length !== given.length || wrong >= 0)
        throw new OptimizerStateError(
          `Expected optimizer moments for ${own.length} parameters but received ${given.length}` +
            `${wrong >= 0 ? `, with another shape at ${wrong}` : ""}: ` +
            "the checkpoint belongs to another model or to other parameter groups",
        );
      noGrad(() => own.forEach((tensor, i) => void tensor.copy_(given[i] as Tensor)));
    }
    this.#steps = state.step;
  }
}
