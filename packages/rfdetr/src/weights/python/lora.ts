// LoRA adapters of the Python package, merged into the weights that they adapt.
import { keep, noGrad, scope, type Tensor } from "@rfdetr/torch";

/** Alpha over rank: the package trains with 16 and 16 (`rfdetr.models.weights: apply_lora`). */
const scaling = 1;
const adapter = /^(.*)\.(lora_A|lora_B|lora_magnitude_vector)\.default\.weight$/;

/** The key in a plain encoder of a key in an adapted one. */
export const plainKey = (key: string): string =>
  key.replace(/^backbone\.0\.encoder\.base_model\.model\./, "backbone.0.encoder.").replace(".base_layer.", ".");

/** Whether a key belongs to an adapter. */
export const isAdapter = (key: string): boolean => adapter.test(key);

/** Largest rank of an adapter; the package trains with 16. */
const maxRank = 1024;

/**
 * Whether a tensor is an adapter of one of the weights of a model, and of its size.
 * @param shapes of the model's tensors, by plain keys
 */
export function adapterFits(
  key: string,
  shape: readonly number[],
  shapes: ReadonlyMap<string, readonly number[]>,
): boolean {
  const [, layer, part] = adapter.exec(key) ?? [];
  const weight = shapes.get(`${layer}.weight`);
  if (weight?.length !== 2) return false;
  const [outputs, inputs] = weight;
  if (part === "lora_magnitude_vector") return shape.join() === String(outputs);
  const [rank, size] = part === "lora_A" ? shape : [...shape].reverse();
  return shape.length === 2 && rank <= maxRank && size === (part === "lora_A" ? inputs : outputs);
}

/**
 * An adapted weight: W + B·A (Hu et al. 2021, arXiv:2106.09685), or with a magnitude m, row by row, m·(W + B·A)/‖W +
 * B·A‖ (DoRA, Liu et al. 2024, arXiv:2402.09353), where no gradient flows through the norm. Call it inside a scope.
 */
export function adaptedWeight(weight: Tensor, a: Tensor, b: Tensor, magnitude?: Tensor): Tensor {
  const sum = weight.add(b.matmul(a).mul(scaling));
  if (magnitude === undefined) return sum;
  const fixed = sum.detach();
  const length = fixed.mul(fixed).sum(1).sqrt();
  return sum.mul(magnitude.div(length).unsqueeze(1));
}

/**
 * Replaces each adapted weight by that of {@link adaptedWeight}. Adapters are removed from the map and disposed.
 * @param tensors weights under plain keys, adapters under their own
 * @returns names of the merged layers
 */
export function mergeAdapters(tensors: Map<string, Tensor>): string[] {
  const layers = new Set([...tensors.keys()].flatMap((key) => adapter.exec(key)?.[1] ?? []));
  const merged: string[] = [];
  for (const layer of layers) {
    const take = (part: string): Tensor | undefined => {
      const key = `${layer}.${part}.default.weight`;
      const found = tensors.get(key);
      tensors.delete(key);
      return found;
    };
    const [a, b, magnitude] = [take("lora_A"), take("lora_B"), take("lora_magnitude_vector")];
    const key = `${layer}.weight`;
    const weight = tensors.get(key);
    if (weight === undefined || a === undefined || b === undefined) continue;
    const changed = noGrad(() => keep(scope(() => adaptedWeight(weight, a, b, magnitude))));
    for (const used of [weight, a, b, magnitude]) used?.dispose();
    tensors.set(key, changed);
    merged.push(layer);
  }
  return merged;
}
