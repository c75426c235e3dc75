// A multi-layer perceptron as one operator.
import { decompose } from "../decompose.js";
import { dispatch, operator } from "../dispatch.js";
import { currentModule } from "../module-stack.js";
import * as ops from "../ops.generated.js";
import type { Tensor } from "../tensor.js";
import { Linear } from "./layers.js";
import { Module } from "./module.js";

/**
 * The activation between two layers. `rfdetr::gelu` has a kernel where the CPU multiplies bfloat16, so that both ways
 * have the same bits.
 */
export const activationOperators = { relu: operator("aten::relu"), gelu: operator("rfdetr::gelu") } as const;
/** Name of an activation that `rfdetr::mlp` applies between its layers. */
export type Activation = keyof typeof activationOperators;

/**
 * `x` through linear layers, each but the last followed by the activation, as the fused operator `rfdetr::mlp`.
 * @param layers each with a bias; children of the module that calls this, so that whoever takes them one by one finds
 * their paths
 * @param x `[…, in of the first layer]`
 * @returns `[…, out of the last layer]`
 */
export function mlp(layers: readonly Linear[], x: Tensor, activation: Activation): Tensor {
  return ops.mlp(
    x,
    layers.map((layer) => layer.weight),
    layers.map((layer) => layer.bias as Tensor),
    activation,
  );
}

/** The running module's child that has this weight; undefined where the operator was called on bare tensors. */
export function layerOfWeight(weight: Tensor): Linear | undefined {
  const module = currentModule();
  if (!(module instanceof Module)) return undefined;
  for (const [, child] of module.namedChildren()) if (child instanceof Linear && child.weight === weight) return child;
  return undefined;
}

decompose("rfdetr::mlp", {
  exact: true,
  run([x, weights, biases, activation]) {
    const between = activationOperators[activation as Activation];
    return (weights as Tensor[]).reduce((y, weight, i) => {
      const input = i === 0 ? y : (dispatch(between, [y]) as Tensor);
      const layer = layerOfWeight(weight);
      return layer === undefined ? ops.linear(input, weight, { bias: (biases as Tensor[])[i] }) : layer.call(input);
    }, x as Tensor);
  },
});
