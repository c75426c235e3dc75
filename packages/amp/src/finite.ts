// Finds values that are not finite: in all gradients at once, and then by name.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";

/** A parameter whose gradient holds NaN or infinity. */
export interface BadGradient {
  /** The name of the parameter. */
  name: string;
  /** The number of elements that are NaN. */
  nan: number;
  /** The number of elements that are infinite. */
  infinite: number;
  /** The number of all elements. */
  elements: number;
}

/**
 * Whether every gradient of `parameters` is finite. Parameters without a gradient are ignored. One pass computes the
 * norms. If one of them is not finite, a second pass looks at the elements, because a sum of squares can overflow
 * although every element is finite.
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
 * The parameters whose gradient holds NaN or infinity, in the order given. It is slower than {@link gradientsFinite},
 * so call it after that has returned false.
 * @param parameters pairs of name and parameter
 * @example
 * import { badGradients, gradientsFinite } from "@rfdetr/amp";
 * if (!gradientsFinite(model.parameters())) console.error(badGradients(model.namedParameters()));
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

/**
 * The names of the floating-point tensors that hold NaN or infinity.
 * @param tensors pairs of name and tensor, such as weights, buffers or inputs
 */
export function nonFinite(tensors: Iterable<readonly [string, Tensor]>): string[] {
  const found: string[] = [];
  for (const [name, tensor] of tensors)
    if (tensor.isFloatingPoint && noGrad(() => scope(() => tensor.isfinite().all().item())) !== 1) found.push(name);
  return found;
}
