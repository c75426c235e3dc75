// The registry of decompositions: what fused operators stand for. The model calls the fused one; an interceptor may run
// the parts instead. Each is registered beside its use: `rfdetr::mlp` in nn/mlp.ts, deformable attention in the model.
// Their C++ twins, which end in `_composed`, stand beside the kernels and are one operator to the dispatcher.
import { type Operator, operator } from "./dispatch.js";

/** What a fused operator stands for. */
export interface Decomposition {
  /**
   * The same work in single operators, each of which is dispatched; arguments and result are those of the fused
   * operator, but the result may be in a wider dtype.
   */
  run(args: readonly unknown[]): unknown;
  /**
   * Whether results and gradients have the same bits both ways for these arguments. An observer looks at the parts only
   * then: looking at a training must not change it.
   */
  exact(args: readonly unknown[]): boolean;
}

const decompositions = new Map<Operator, Decomposition>();

/**
 * Registers the decomposition of a fused operator.
 * @example
 * // x·sigmoid(x), should it ever be an operator of its own
 * decompose("mine::swish", { exact: () => false, run: ([x]) => (x as Tensor).mul((x as Tensor).sigmoid()) });
 */
export function decompose(name: string, decomposition: Decomposition): void {
  decompositions.set(operator(name), decomposition);
}

/** The decomposition of an operator; undefined for one that is not fused. */
export function decompositionOf(op: Operator): Decomposition | undefined {
  return decompositions.get(op);
}
