// What fused operators stand for in an exported graph, beside the decompositions that training registers.
import { type Decomposition, ops, type Tensor } from "@rfdetr/torch";

type Parts = Pick<Decomposition, "run">;

/** Attention over `[B, length, heads, width]`. Its scale acts on the queries, so that the products stay in range. */
const attention: Parts = {
  run([query, key, value, scale]) {
    const [q, k, v] = [query, key, value].map((x) => (x as Tensor).transpose(1, 2)) as [Tensor, Tensor, Tensor];
    const weights = ops.matmul(q.mul(scale as number), k.transpose(2, 3)).softmax(-1);
    return ops.matmul(weights, v).transpose(1, 2);
  },
};

/** In evaluation there is one group. */
const groupedLinear: Parts = {
  run([x, weights, biases]) {
    return ops.linear(x as Tensor, only(weights), { bias: only(biases) });
  },
};

const groupedLayerNorm: Parts = {
  run([x, weights, biases, eps]) {
    const weight = only(weights);
    return ops.layerNorm(x as Tensor, weight.shape, { weight, bias: only(biases), eps: eps as number });
  },
};

function only(group: unknown): Tensor {
  return (group as [Tensor])[0];
}

/** By name of a fused operator. */
export const exportParts: ReadonlyMap<string, Parts> = new Map([
  ["rfdetr::attention", attention],
  ["rfdetr::grouped_linear", groupedLinear],
  ["rfdetr::grouped_layer_norm", groupedLayerNorm],
]);
