// AdamW by libtorch's fused kernel, which updates all parameters of a group in a few launches on a GPU.
import { full } from "../create.js";
import * as ops from "../ops.generated.js";
import type { Tensor } from "../tensor.js";

/** Parameters with one learning rate, and what a step needs of them. Lists are in the same order. */
export interface GroupUpdate {
  params: readonly Tensor[];
  gradients: readonly Tensor[];
  expAvg: readonly Tensor[];
  expAvgSq: readonly Tensor[];
  lr: number;
  weightDecay: number;
  betas: readonly [number, number];
  eps: number;
  /** Number of this step, from 1. */
  step: number;
}

/** Whether the fused kernel takes these tensors: float32 or float64 on one NVIDIA GPU. */
export function fitsCudaFused(tensors: readonly Tensor[]): boolean {
  const device = tensors[0]?.device ?? "";
  return device.startsWith("cuda") && tensors.every((t) => t.device === device && t.isFloatingPoint);
}

/** Updates a group as torch.optim.AdamW with `fused`. Nothing is read from the device. */
export function cudaFusedAdamW({ params, gradients, expAvg, expAvgSq, ...rates }: GroupUpdate): void {
  const { lr, weightDecay, betas, eps, step } = rates;
  // The kernel reads the number of the step from the device, for each parameter.
  const count = full([], step, { device: params[0]?.device });
  const steps = params.map(() => count);
  ops._fusedAdamw_(
    params,
    gradients,
    expAvg,
    expAvgSq,
    [],
    steps,
    lr,
    betas[0],
    betas[1],
    weightDecay,
    eps,
    false,
    false,
  );
}
