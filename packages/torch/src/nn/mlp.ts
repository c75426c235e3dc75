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

const isActivation = (name: unknown): name is Activation =>
  typeof name === "string" && Object.hasOwn(activationOperators, name);

/**
 * `x` through linear layers, each but the last followed by the activation, as the fused operator `rfdetr::mlp`.
 * @param layers each with a bias; children of the module that calls this, so that whoever takes them one by one finds
 * their paths
 * @param x `[…, in of the first layer]`
 * @param options `recompute`: whether backward computes the hidden layers again instead of keeping them. Where the
 * operator has no kernel, they are kept.
 * @returns `[…, out of the last layer]`
 * @throws TypeError when there is no layer, a layer has no bias, or the activation is unknown
 *
 * @example
 * const layers = [new nn.Linear(256, 256), new nn.Linear(256, 4)];
 * nn.mlp(layers, randn([2, 300, 256]), "relu").shape; // [2, 300, 4]
 */
export function mlp(
  layers: readonly Linear[],
  x: Tensor,
  activation: Activation,
  options: { recompute?: boolean } = {},
): Tensor {
  if (!isActivation(activation))
    throw new TypeError(`Expected relu or gelu for activation but received ${String(activation)}`);
  const biases = layers.flatMap(({ bias }) => (bias === null ? [] : [bias]));
  if (layers.length === 0 || biases.length < layers.length)
    throw new TypeError(`Expected layers with a bias each but received ${layers.length} with ${biases.length} biases`);
  return ops.mlp(
    x,
    layers.map((layer) => layer.weight),
    biases,
    activation,
    options,
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
  // The operator brings its weights to the dtype of the input, which a single layer does not do. Single layers would
  // keep what the operator computes again.
  exact: ([x, weights, , activation, recompute]) =>
    !recompute && isActivation(activation) && (weights as Tensor[]).every(({ dtype }) => dtype === (x as Tensor).dtype),
  run([x, weights, biases, activation]) {
    const between = activationOperators[activation as Activation];
    return (weights as Tensor[]).reduce((y, weight, i) => {
      const input = i === 0 ? y : (dispatch(between, [y]) as Tensor);
      const layer = layerOfWeight(weight);
      return layer === undefined ? ops.linear(input, weight, { bias: (biases as Tensor[])[i] }) : layer.call(input);
    }, x as Tensor);
  },
});
