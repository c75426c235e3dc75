// Linear layers that run as one, or read one tensor.
import { activeAutocast, lowered } from "@rfdetr/amp";
import { dispatch, type nn, operator, ops, type Tensor } from "@rfdetr/torch";

// Our own where it has a kernel (bfloat16 on a CPU that multiplies it), so that both ways below have the same bits; libtorch's otherwise.
const activations = { relu: operator("aten::relu"), gelu: operator("rfdetr::gelu") } as const;

/**
 * `x` through the layers, each but the last followed by the activation: as one operator where the precision lets them and nobody watches single ones, otherwise
 * one after the other, with the same bits.
 */
export function perceptron(layers: readonly nn.Linear[], x: Tensor, activation: keyof typeof activations): Tensor {
  const between = activations[activation];
  if (activeAutocast()?.joins(layers, between))
    return ops.mlp(
      lowered(x),
      layers.map((layer) => layer.weight),
      layers.map((layer) => layer.bias as Tensor),
      activation,
    );
  return layers.reduce((y, layer, i) => layer.call(i === 0 ? y : (dispatch(between, [y]) as Tensor)), x);
}

/** `x` as these layers all read it: in half, where the precision lowers each of them, so that one cast serves them and is kept once for backward. */
export function sharedCast(layers: readonly nn.Linear[], x: Tensor): Tensor {
  return activeAutocast()?.lowers(layers) ? lowered(x) : x;
}
