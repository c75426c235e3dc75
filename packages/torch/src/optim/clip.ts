// Gradient clipping by global norm (Pascanu et al. 2013).
import { noGrad } from "../autograd.js";
import * as ops from "../ops.generated.js";
import { scope } from "../scope.js";
import type { Tensor } from "../tensor.js";
import { fitsCpuKernel } from "./adamw.js";

/** The L2 norm of all gradients, taken as one vector. It is NaN or Infinity when an element is. */
export function gradientNorm(parameters: readonly Tensor[]): number {
  return noGrad(() =>
    scope(() => {
      const gradients = parameters.map((p) => p.grad).filter((g) => g !== null);
      if (gradients.length === 0) return 0;
      if (fitsCpuKernel(gradients)) return ops.gradientNorm(gradients);
      return ops.linalgVectorNorm(ops.stack(ops._foreachNorm(gradients))).item();
    }),
  );
}

/**
 * The factor that brings gradients of a norm to at most `maxNorm`; 1 when nothing is clipped or the norm is not finite.
 */
export function clipFactor(norm: number, maxNorm: number): number {
  return maxNorm > 0 && Number.isFinite(maxNorm) && Number.isFinite(norm) ? Math.min(1, maxNorm / (norm + 1e-6)) : 1;
}

/**
 * Scales the gradients in place so that their global norm is at most `maxNorm`; 0 and Infinity leave them. As
 * torch.nn.utils.clip_grad_norm_.
 * @returns the norm before clipping, and the factor, which is 1 when nothing was clipped
 *
 * @example
 * const { norm, factor } = optim.clipGradNorm(model.parameters(), 0.1);
 */
export function clipGradNorm(parameters: readonly Tensor[], maxNorm: number): { norm: number; factor: number } {
  const norm = gradientNorm(parameters);
  const factor = clipFactor(norm, maxNorm);
  if (factor < 1)
    noGrad(() =>
      scope(() =>
        ops._foreachMul_(
          parameters.map((p) => p.grad).filter((g) => g !== null),
          factor,
        ),
      ),
    );
  return { norm, factor };
}
