// Adapters of a LoRA run of the Python package, merged into the weights they adapt.
import { keep, noGrad, scope, type Tensor } from "@rfdetr/torch";

/** The package trains with rank 16 and alpha 16 (`apply_lora` in `rfdetr.models.weights`): a factor of one. */
const scaling = 1;
const adapter = /^(.*)\.(lora_A|lora_B|lora_magnitude_vector)\.default\.weight$/;

/** A key of an adapted encoder as the plain encoder names it. */
export const plainKey = (key: string): string =>
  key.replace(/^backbone\.0\.encoder\.base_model\.model\./, "backbone.0.encoder.").replace(".base_layer.", ".");

/** Whether a key belongs to an adapter. */
export const isAdapter = (key: string): boolean => adapter.test(key);

/**
 * Replaces every adapted weight by what the adapted layer computes: W + B·A (Hu et al. 2021, arXiv:2106.09685), and with a magnitude m its rows rescaled,
 * m·(W + B·A)/‖W + B·A‖ (DoRA, Liu et al. 2024, arXiv:2402.09353). Adapters are taken out of the map and disposed.
 * @param tensors weights under plain keys, adapters under theirs
 * @returns names of the layers that were merged
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
    const changed = noGrad(() =>
      keep(
        scope(() => {
          const sum = weight.add(b.matmul(a).mul(scaling));
          if (magnitude === undefined) return sum;
          const length = sum.mul(sum).sum(1).sqrt();
          return sum.mul(magnitude.div(length).unsqueeze(1));
        }),
      ),
    );
    for (const used of [weight, a, b, magnitude]) used?.dispose();
    tensors.set(key, changed);
    merged.push(layer);
  }
  return merged;
}
