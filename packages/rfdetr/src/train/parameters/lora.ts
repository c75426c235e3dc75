// Low-rank adapters of the encoder: the products of queries, keys and values learn a small change of their weights.
import { nn, noGrad, ops, scope, type Tensor, zeros } from "@rfdetr/torch";
import type { RFDETRModel } from "../../model/rfdetr.js";
import { grouped } from "../../support/format.js";
import { adaptedWeight } from "../../weights/python/lora.js";

/** Rank of the adapters, which is also their alpha (`rfdetr.models.weights: apply_lora`). */
const rank = 16;
const targets = ["query", "key", "value"] as const;

/**
 * A linear layer whose weight W is frozen and whose adapter is trained: y = x·W′ᵀ + b with W′ = m·(W + B·A)/‖W + B·A‖,
 * row by row (DoRA, Liu et al. 2024, arXiv:2402.09353, Eq. 5). As there (§4.3), no gradient flows through the norm. B
 * starts at 0 and m at ‖W‖, so that the first output is that of W. `peft.tuners.lora.dora: DoraLinearLayer`.
 */
class AdaptedLinear extends nn.Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  weight: nn.Parameter;
  bias: nn.Parameter | null;
  /** `[rank, inFeatures]`. */
  loraA: nn.Parameter;
  /** `[outFeatures, rank]`. */
  loraB: nn.Parameter;
  /** `[outFeatures]`. */
  loraMagnitude: nn.Parameter;

  /** @param base the layer whose weight and bias it takes over and freezes */
  constructor({ inFeatures, outFeatures, weight, bias }: nn.Linear) {
    super();
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.weight = weight;
    this.bias = bias;
    for (const frozen of [weight, bias]) if (frozen !== null) frozen.requiresGrad = false;
    this.loraA = nn.parameter(() => nn.init.kaimingUniform_(zeros([rank, inFeatures])));
    this.loraB = nn.parameter(() => zeros([outFeatures, rank]));
    this.loraMagnitude = nn.parameter(() => noGrad(() => rowNorms(weight)));
  }

  override forward(x: Tensor): Tensor {
    const { weight, loraA, loraB, loraMagnitude } = this;
    return ops.linear(x, adaptedWeight(weight, loraA, loraB, loraMagnitude), { bias: this.bias });
  }
}

const rowNorms = (weight: Tensor): Tensor => weight.mul(weight).sum(1).sqrt();

/**
 * Freezes the encoder and adapts the products of queries, keys and values in all of its layers. The rest of the model
 * is trained as before.
 * @returns what is trained of the encoder, in a sentence
 */
export function adaptEncoder(model: RFDETRModel): string {
  const { encoder } = model.backbone.at(0);
  const before = encoder.parameters();
  for (const parameter of before) parameter.requiresGrad = false;
  let trained = 0;
  for (const [, module] of [...encoder.namedModules()])
    for (const field of targets) {
      const fields = module as unknown as Record<string, unknown>;
      const base = fields[field];
      if (!(base instanceof nn.Linear)) continue;
      const adapted = new AdaptedLinear(base);
      fields[field] = adapted;
      trained += [adapted.loraA, adapted.loraB, adapted.loraMagnitude].reduce((sum, { numel }) => sum + numel, 0);
    }
  model.name("");
  const all = before.reduce((sum, { numel }) => sum + numel, 0);
  return `Of the encoder, adapters with ${grouped(trained)} parameters are trained; its own ${grouped(all)} are frozen`;
}

const adapterPart = /^(.*)\.lora_(a|b|magnitude)$/;

/**
 * The weights of a model with its adapters merged: those of a plain model. Tensors without an adapter are the given
 * ones. Call it inside a scope.
 * @param tensors state of a model, or an average of it; unchanged, and returned where nothing is adapted
 */
export function mergedWeights(tensors: Map<string, Tensor>): Map<string, Tensor> {
  const layers = new Set([...tensors.keys()].flatMap((key) => adapterPart.exec(key)?.[1] ?? []));
  if (layers.size === 0) return tensors;
  const merged = new Map([...tensors].filter(([key]) => !adapterPart.test(key)));
  for (const layer of layers) {
    const [weight, a, b, magnitude] = ["weight", "lora_a", "lora_b", "lora_magnitude"].map(
      (part) => tensors.get(`${layer}.${part}`) as Tensor,
    );
    merged.set(
      `${layer}.weight`,
      noGrad(() => scope(() => adaptedWeight(weight, a, b, magnitude))),
    );
  }
  return merged;
}

/** Loads weights of a plain model into one that may have adapters, which change nothing then. */
export function loadMerged(model: nn.Module, tensors: Map<string, Tensor>): void {
  noGrad(() =>
    scope(() => {
      const all = new Map(tensors);
      for (const [key, tensor] of model.stateDict()) {
        const [, layer, part] = adapterPart.exec(key) ?? [];
        const weight = tensors.get(`${layer}.weight`);
        if (layer === undefined || weight === undefined) continue;
        all.set(key, part === "magnitude" ? rowNorms(weight) : zeros(tensor.shape));
      }
      model.loadStateDict(all);
    }),
  );
}
