// AdamW (Loshchilov and Hutter 2019) and the moving average of its weights: a kernel that goes over memory once where
// it applies, and foreach operators elsewhere.
import { noGrad } from "../autograd.js";
import { TorchError } from "../errors.js";
import * as ops from "../ops.generated.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { cudaFusedAdamW, fitsCudaFused, type GroupUpdate } from "./cuda-fused-adamw.js";
import { fitsParameter, Moment, type MomentFormat } from "./moments.js";

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

/** What a step needs of one parameter. */
interface Entry {
  group: ParameterGroup;
  parameter: Tensor;
  gradient: Tensor;
  expAvg: Moment;
  expAvgSq: Moment;
}

/** Options of {@link AdamW.step}. */
export interface StepOptions {
  /** Multiplies the gradients as they are read, which saves clipping a pass over memory; default 1. */
  gradientScale?: number;
  /** Updated with the new weights, in the same pass where the kernel applies. */
  average?: MovingAverage | null;
  /** Frees the gradients: each `grad` is null after the step. Where no kernel applies, as the step goes on. */
  freeGradients?: boolean;
}

/**
 * Bytes of parameters that are updated together where no kernel applies: the operators make copies of their gradients
 * and moments.
 */
const chunkBytes = 1 << 25;

/** Whether the CPU kernels apply: they need contiguous float32 memory. */
export function fitsCpuKernel(tensors: readonly Tensor[]): boolean {
  return tensors.every((t) => t.dtype === "float32" && t.device === "cpu" && t.isContiguous);
}

/** What a checkpoint keeps of an optimizer. */
export interface AdamWState {
  /** Steps taken so far. */
  step: number;
  /** First and second moments in the order of the groups' parameters: values, or codes of 8 bits. */
  expAvg: Tensor[];
  expAvgSq: Tensor[];
  /** The scales of codes, null where the tensor holds values. Where they are left out, all tensors hold values. */
  expAvgScale?: (Tensor | null)[];
  expAvgSqScale?: (Tensor | null)[];
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
 * With `moments` "8bit", the moments of tensors with at least 4096 elements take 8 bits a value and a float32 scale for
 * 256 of them, by the dynamic map (arXiv:2110.02861, as bitsandbytes.optim.AdamW8bit). The update itself is float32.
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
  /** The two moments of each parameter, in the order of the groups. */
  readonly #expAvg: Moment[][];
  readonly #expAvgSq: Moment[][];

  constructor(
    groups: ParameterGroup[],
    options: { betas?: readonly [number, number]; eps?: number; moments?: MomentFormat } = {},
  ) {
    const { betas = [0.9, 0.999], eps = 1e-8, moments = "float32" } = options;
    this.groups = groups;
    this.betas = betas;
    this.eps = eps;
    const made = (map: { signed: boolean }): Moment[][] =>
      noGrad(() => groups.map((group) => group.params.map((p) => new Moment(p, moments, map))));
    this.#expAvg = made({ signed: true });
    this.#expAvgSq = made({ signed: false });
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.#steps;
  }

  /** The parameters of all groups, in order. */
  get parameters(): Tensor[] {
    return this.groups.flatMap((group) => group.params);
  }

  /** Updates the parameters from their gradients. */
  step({ gradientScale = 1, average = null, freeGradients = false }: StepOptions = {}): void {
    this.#steps++;
    noGrad(() =>
      scope(() => {
        const entries = this.groups.flatMap((group, g) =>
          group.params.flatMap((parameter, i): Entry[] => {
            const gradient = parameter.grad;
            if (gradient === null) return [];
            const [expAvg, expAvgSq] = [this.#expAvg, this.#expAvgSq].map((all) => all[g]?.[i]) as [Moment, Moment];
            return [{ group, parameter, gradient, expAvg, expAvgSq }];
          }),
        );
        const followed = this.#update(entries, { gradientScale, average, freeGradients });
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
  #update(entries: Entry[], { gradientScale, average, ...rest }: Required<StepOptions>): ReadonlySet<Tensor> {
    if (!fitsCpuKernel(entries.flatMap(({ parameter, gradient }) => [parameter, gradient]))) {
      for (const chunk of chunks(entries)) {
        scope(() => this.#onLibtorch(chunk, gradientScale));
        if (rest.freeGradients) freeGradients(chunk.entries);
      }
      return new Set();
    }
    const means = average === null ? [] : entries.flatMap(({ parameter }) => average.of.get(parameter) ?? []);
    const follows = means.length === entries.length && fitsCpuKernel(means);
    for (const coded of [false, true]) {
      const own = entries.filter(({ expAvg }) => (expAvg.scales !== null) === coded);
      this.#onCpuKernel(own, gradientScale, follows ? average : null);
    }
    if (rest.freeGradients) freeGradients(entries);
    return new Set(follows ? entries.map(({ parameter }) => parameter) : []);
  }

  /** One pass over memory by the kernel. */
  #onCpuKernel(entries: Entry[], scale: number, average: MovingAverage | null): void {
    if (entries.length === 0) return;
    const [beta1, beta2] = this.betas;
    const moments = (of: (entry: Entry) => Moment): [values: Tensor[], scales: Tensor[]] => [
      entries.map((entry) => of(entry).values),
      entries.flatMap((entry) => of(entry).scales ?? []),
    ];
    const [expAvg, expAvgScales] = moments((entry) => entry.expAvg);
    const [expAvgSq, expAvgSqScales] = moments((entry) => entry.expAvgSq);
    const tensors = [entries.map(({ parameter }) => parameter), entries.map(({ gradient }) => gradient)] as const;
    const numbers = [
      average === null ? [] : entries.map(({ parameter }) => average.of.get(parameter) as Tensor),
      entries.map(({ group }) => group.lr),
      entries.map(({ group }) => group.weightDecay),
      beta1,
      beta2,
      this.eps,
      this.#steps,
      scale,
      average?.weight ?? 0,
    ] as const;
    if (expAvgScales.length > 0) ops.adamw8bit_(...tensors, expAvg, expAvgScales, expAvgSq, expAvgSqScales, ...numbers);
    else ops.adamw_(...tensors, expAvg, expAvgSq, ...numbers);
  }

  /** What the kernels compute, by operators of libtorch, for parameters of one group. */
  #onLibtorch({ group: { lr, weightDecay }, entries }: Chunk, scale: number): void {
    const gradients = entries.map(({ gradient }) => gradient);
    const { betas, eps } = this;
    const update = {
      params: entries.map(({ parameter }) => parameter),
      gradients: scale === 1 ? gradients : ops._foreachMul(gradients, scale),
      expAvg: entries.map((entry) => entry.expAvg.read()),
      expAvgSq: entries.map((entry) => entry.expAvgSq.read()),
      ...{ lr, weightDecay, betas, eps, step: this.#steps },
    };
    if (fitsCudaFused([...update.params, ...update.gradients])) cudaFusedAdamW(update);
    else foreachAdamW(update);
    entries.forEach((entry, i) => {
      entry.expAvg.write(update.expAvg[i] as Tensor, null);
      entry.expAvgSq.write(update.expAvgSq[i] as Tensor, null);
    });
  }

  /** Removes the gradients of all parameters. */
  zeroGrad(): void {
    for (const group of this.groups) for (const p of group.params) p.grad = null;
  }

  /** The state for a checkpoint. The tensors are the optimizer's own, not copies. */
  stateDict(): AdamWState & Required<Pick<AdamWState, "expAvgScale" | "expAvgSqScale">> {
    const [first, second] = [this.#expAvg.flat(), this.#expAvgSq.flat()];
    return {
      step: this.#steps,
      expAvg: first.map(({ values }) => values),
      expAvgSq: second.map(({ values }) => values),
      expAvgScale: first.map(({ scales }) => scales),
      expAvgSqScale: second.map(({ scales }) => scales),
    };
  }

  /** Every tensor of the state: moments, or codes and scales. */
  stateTensors(): Tensor[] {
    return [...this.#expAvg, ...this.#expAvgSq]
      .flat()
      .flatMap(({ values, scales }) => [values, ...(scales === null ? [] : [scales])]);
  }

  /** Sets both moments of parameter `i`, in the order of the groups, to zero. */
  clearMoments(i: number): void {
    for (const moments of [this.#expAvg, this.#expAvgSq]) noGrad(() => moments.flat()[i]?.clear());
  }

  /**
   * Copies a state into the optimizer. Moments that the state keeps in another format are converted.
   * @throws OptimizerStateError when the number or the shapes of tensors differ.
   */
  loadStateDict(state: AdamWState): void {
    const { parameters } = this;
    const given = [
      [this.#expAvg.flat(), state.expAvg, state.expAvgScale],
      [this.#expAvgSq.flat(), state.expAvgSq, state.expAvgSqScale],
    ] as const;
    for (const [, values, scales] of given) {
      const wrong = parameters.findIndex((p, i) => !fitsParameter(p, values[i], scales?.[i] ?? null));
      if (parameters.length !== values.length || wrong >= 0)
        throw new OptimizerStateError(
          `Expected optimizer moments for ${parameters.length} parameters but received ${values.length}` +
            `${wrong >= 0 ? `, with another shape at ${wrong}` : ""}: ` +
            "the checkpoint belongs to another model or to other parameter groups",
        );
    }
    noGrad(() => {
      for (const [own, values, scales] of given)
        own.forEach((moment, i) => void moment.write(values[i] as Tensor, scales?.[i] ?? null));
    });
    this.#steps = state.step;
  }
}

/** AdamW in single operators; see {@link cudaFusedAdamW}. */
function foreachAdamW({ params, gradients, expAvg, expAvgSq, ...rates }: GroupUpdate): void {
  const { lr, weightDecay, eps, step } = rates;
  const [beta1, beta2] = rates.betas;
  if (weightDecay !== 0) ops._foreachMul_(params, 1 - lr * weightDecay);
  ops._foreachLerp_(expAvg, gradients, 1 - beta1);
  ops._foreachMul_(expAvgSq, beta2);
  ops._foreachAddcmul_(expAvgSq, gradients, gradients, { value: 1 - beta2 });
  const denominator = ops._foreachSqrt(expAvgSq);
  ops._foreachDiv_(denominator, Math.sqrt(1 - beta2 ** step));
  ops._foreachAdd_(denominator, eps);
  ops._foreachAddcdiv_(params, expAvg, denominator, { value: -lr / (1 - beta1 ** step) });
}

/** Parameters of one group, of about {@link chunkBytes}. */
interface Chunk {
  group: ParameterGroup;
  entries: Entry[];
  bytes: number;
}

function chunks(entries: readonly Entry[]): Chunk[] {
  const made: Chunk[] = [];
  for (const entry of entries) {
    let chunk = made.at(-1);
    if (chunk === undefined || chunk.group !== entry.group || chunk.bytes >= chunkBytes) {
      chunk = { group: entry.group, entries: [], bytes: 0 };
      made.push(chunk);
    }
    chunk.entries.push(entry);
    chunk.bytes += entry.parameter.nbytes;
  }
  return made;
}

function freeGradients(entries: readonly Entry[]): void {
  for (const { parameter, gradient } of entries) {
    parameter.grad = null;
    gradient.dispose();
  }
}
