// Parameter groups: the learning rate and the weight decay of every weight.
import type { optim } from "@rfdetr/torch";
import type { RFDETRModel } from "../../model/rfdetr.js";

/** Settings that decide learning rate and weight decay of every parameter. */
export interface GroupSettings {
  lr: number;
  lrEncoder: number;
  /** Factor of the learning rate for each encoder layer further from the output. */
  lrVitLayerDecay: number;
  /** Factor of the decoder's learning rate; the encoder gets its square. */
  lrComponentDecay: number;
  weightDecay: number;
}

const encoderPrefix = "backbone.0.encoder";
const decoderPrefix = "transformer.decoder";
const undecayed = ["gamma", "pos_embed", "rel_pos", "bias", "norm", "embeddings"];

/** Number of the layer of an encoder parameter: 0 for the embeddings, the highest for the final norm. */
function layerId(name: string, depth: number): number {
  if (name.includes("embeddings")) return 0;
  const layer = /\.layer\.(\d+)\./.exec(name);
  return layer === null ? depth + 1 : Number(layer[1]) + 1;
}

/**
 * Groups of equal learning rate and weight decay, in the order: all others, encoder, decoder. The earlier an encoder
 * layer, the lower its learning rate. Biases, norms and embeddings of the encoder do not decay; its LayerScale and the
 * whole decoder do, as in the package (`rfdetr.training.param_groups`).
 *
 * @example
 * const groups = parameterGroups(model, {
 *   lr: 1e-4,
 *   lrEncoder: 1.5e-4,
 *   lrVitLayerDecay: 0.8,
 *   lrComponentDecay: 0.7,
 *   weightDecay: 1e-4,
 * });
 * const optimizer = new optim.AdamW(groups);
 */
export function parameterGroups(model: RFDETRModel, settings: GroupSettings): optim.ParameterGroup[] {
  const depth = Math.max(...model.config.outFeatureIndexes) + 1;
  const sets: [optim.ParameterGroup[], optim.ParameterGroup[], optim.ParameterGroup[]] = [[], [], []];
  const byRates = [
    new Map<string, optim.ParameterGroup>(),
    new Map<string, optim.ParameterGroup>(),
    new Map<string, optim.ParameterGroup>(),
  ];
  for (const [name, parameter] of model.namedParameters()) {
    if (!parameter.requiresGrad) continue;
    const set = name.startsWith(encoderPrefix) ? 1 : name.startsWith(decoderPrefix) ? 2 : 0;
    const lr =
      set === 1
        ? settings.lrEncoder *
          settings.lrVitLayerDecay ** (depth + 1 - layerId(name, depth)) *
          settings.lrComponentDecay ** 2
        : set === 2
          ? settings.lr * settings.lrComponentDecay
          : settings.lr;
    const weightDecay = set === 1 && undecayed.some((part) => name.includes(part)) ? 0 : settings.weightDecay;
    const key = `${lr} ${weightDecay}`;
    let group = byRates[set].get(key);
    if (group === undefined) {
      group = { params: [], lr, weightDecay };
      byRates[set].set(key, group);
      sets[set].push(group);
    }
    group.params.push(parameter);
  }
  return sets.flat();
}
