// Which layer norms `rfdetr::rounded_layer_norm` computes under autocast.
import { type Call, operator, Tensor } from "@rfdetr/torch";

const layerNorm = operator("aten::layer_norm");
const groupedLayerNorm = operator("rfdetr::grouped_layer_norm");

/** A layer norm that `rfdetr::rounded_layer_norm` can compute. */
export interface Norm {
  input: Tensor;
  /** One, or one for each group. */
  weights: Tensor[];
  biases: Tensor[];
  eps: number;
}

/** The call as such a norm: over the last axis, with float32 weights, on a CPU. Null where it is none. */
export function normOf({ op, args }: Call): Norm | null {
  if (op !== layerNorm && op !== groupedLayerNorm) return null;
  const grouped = op === groupedLayerNorm;
  const [input, weights, biases, eps] = grouped ? args : [args[0], [args[2]], [args[3]], args[4] ?? 1e-5];
  if (!(input instanceof Tensor) || input.device !== "cpu" || !/^(float32|bfloat16)$/.test(input.dtype)) return null;
  if (!grouped && (args[1] as number[]).length !== 1) return null;
  const isFloat32 = (value: unknown): boolean => value instanceof Tensor && value.dtype === "float32";
  if (![...(weights as unknown[]), ...(biases as unknown[])].every(isFloat32)) return null;
  return { input, weights: weights as Tensor[], biases: biases as Tensor[], eps: eps as number };
}
