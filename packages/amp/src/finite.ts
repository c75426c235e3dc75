// Finding what is not finite among the gradients.
import { noGrad, ops, scope, type Tensor } from "@rfdetr/torch";

export interface BadGradient {
  name: string;
  /** Elements that are NaN, and that are infinite. */
  nan: number;
  infinite: number;
}

/** Parameters whose gradient holds a NaN or an infinity, in the order given. Only asked after the one-pass norm was not finite. */
export function badGradients(parameters: Iterable<readonly [string, Tensor]>): BadGradient[] {
  const found: BadGradient[] = [];
  for (const [name, parameter] of parameters)
    noGrad(() =>
      scope(() => {
        const gradient = parameter.grad;
        if (gradient === null || gradient.isfinite().all().item() === 1) return;
        found.push({ name, nan: ops.isnan(gradient).sum().item(), infinite: ops.isinf(gradient).sum().item() });
      }),
    );
  return found;
}
