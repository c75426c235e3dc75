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
      return allFinite(gradients).every(Boolean);
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
  return noGrad(() =>
    scope(() => {
      const all = [...parameters].flatMap(([name, { grad }]) => (grad === null ? [] : [{ name, grad }]));
      const finite = allFinite(all.map(({ grad }) => grad));
      const bad = all.filter((_, i) => !finite[i]);
      const nan = valuesOf(bad.map(({ grad }) => scope(() => ops.isnan(grad).sum())));
      const infinite = valuesOf(bad.map(({ grad }) => scope(() => ops.isinf(grad).sum())));
      return bad.map(({ name, grad }, i) => ({
        name,
        nan: nan[i] as number,
        infinite: infinite[i] as number,
        elements: grad.numel,
      }));
    }),
  );
}

/** Whether each of some tensors of one device is finite. */
const allFinite = (tensors: readonly Tensor[]): boolean[] =>
  valuesOf(tensors.map((tensor) => scope(() => tensor.isfinite().all()))).map((value) => value === 1);

/** The values of scalars of one device and dtype, read at once: each reading waits for a GPU. */
const valuesOf = (scalars: readonly Tensor[]): number[] =>
  scalars.length === 0
    ? []
    : Array.from(
        ops
          .stack([...scalars])
          .double()
          .toArray() as Float64Array,
      );

/**
 * The names of the floating-point tensors that hold NaN or infinity.
 * @param tensors pairs of name and tensor, such as weights, buffers or inputs
 *
 * @example
 * const names = nonFinite(model.namedParameters()); // empty where all weights are finite
 */
export function nonFinite(tensors: Iterable<readonly [string, Tensor]>): string[] {
  const all = [...tensors].filter(([, tensor]) => tensor.isFloatingPoint);
  const finite = noGrad(() => scope(() => allFinite(all.map(([, tensor]) => tensor))));
  return all.flatMap(([name], i) => (finite[i] ? [] : [name]));
}
