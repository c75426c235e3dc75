// Finding what is not finite: in the gradients in one pass, and by name when it matters.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";

/** A parameter whose gradient is not finite. */
export interface BadGradient {
  name: string;
  /** Elements that are NaN, and that are infinite. */
  nan: number;
  infinite: number;
  elements: number;
}

/**
 * Whether every gradient of `parameters` is finite: one pass for the norms, and a second only where a sum of squares
 * has overflowed although its elements have not.
 */
export function gradientsFinite(parameters: readonly Tensor[]): boolean {
  return noGrad(() =>
    scope(() => {
      const gradients = parameters.map((p) => p.grad).filter((g) => g !== null);
      if (gradients.length === 0) return true;
      const norms = ops._foreachNorm(gradients).map((norm) => norm.float());
      if (ops.stack(norms).isfinite().all().item() === 1) return true;
      return gradients.every((gradient) => gradient.isfinite().all().item() === 1);
    }),
  );
}

/**
 * Parameters whose gradient holds a NaN or an infinity, in the order given. Only asked after a one-pass check has
 * failed.
 */
export function badGradients(parameters: Iterable<readonly [string, Tensor]>): BadGradient[] {
  const found: BadGradient[] = [];
  for (const [name, parameter] of parameters)
    noGrad(() =>
      scope(() => {
        const gradient = parameter.grad;
        if (gradient === null || gradient.isfinite().all().item() === 1) return;
        found.push({
          name,
          nan: ops.isnan(gradient).sum().item(),
          infinite: ops.isinf(gradient).sum().item(),
          elements: gradient.numel,
        });
      }),
    );
  return found;
}

/** Names of the tensors that hold a NaN or an infinity: weights, buffers, inputs. */
export function nonFinite(tensors: Iterable<readonly [string, Tensor]>): string[] {
  const found: string[] = [];
  for (const [name, tensor] of tensors)
    if (tensor.isFloatingPoint && noGrad(() => scope(() => tensor.isfinite().all().item())) !== 1) found.push(name);
  return found;
}
