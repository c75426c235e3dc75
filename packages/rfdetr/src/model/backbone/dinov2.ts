// The encoder: DINOv2 (Oquab et al. 2023, arXiv:2304.07193) with windowed attention in most layers.
import { nn, noGrad, type Tensor } from "@rfdetr/torch";
import { InternalError, ModelConfigError } from "../../support/errors.js";
import { checkpointed } from "../checkpointing.js";
import type { ModelConfig } from "../types.js";
import { checkInputSize } from "../variants.js";
import { Embeddings } from "./embeddings.js";
import { EncoderLayer, eps } from "./encoder-layer.js";
import { unpartition } from "./windows.js";

/** The layers of the encoder. A layer is global if its index is a feature index or above the last one. */
class LayerStack extends nn.Module {
  layer: EncoderLayer[];
  constructor(config: ModelConfig) {
    super();
    const { outFeatureIndexes, encoder, numWindows } = config;
    const last = Math.max(...outFeatureIndexes);
    this.layer = Array.from(
      { length: encoder.layers },
      (_, i) => new EncoderLayer(encoder, outFeatureIndexes.includes(i) || i > last, numWindows),
    );
  }
  override forward(): never {
    throw new InternalError("WindowedDinov2 runs the layers itself, to take features between them");
  }
}

/**
 * Windowed DINOv2. Feature n is the output of n layers after the final norm, so it is taken before the global layer
 * with index n. Layers after the last feature do not run, and their weights get no gradient. (The Python package runs
 * the twelfth layer of `base`, but does not use its output.) Source:
 * `rfdetr.models.backbone.dinov2_with_windowed_attn: WindowedDinov2WithRegistersBackbone`.
 */
export class WindowedDinov2 extends nn.Module {
  embeddings: Embeddings;
  encoder: LayerStack;
  layernorm: nn.LayerNorm;
  /** Whether backward recomputes the activations of the layers instead of keeping them. */
  checkpointing = false;
  readonly #config: ModelConfig;

  /** Whether backward computes the hidden layers of the MLPs again. */
  set recomputeHidden(on: boolean) {
    for (const { mlp } of this.encoder.layer) mlp.recompute = on;
  }

  constructor(config: ModelConfig) {
    super();
    this.#config = config;
    this.embeddings = new Embeddings(config);
    this.encoder = new LayerStack(config);
    this.layernorm = new nn.LayerNorm(config.encoder.width, { eps });
    initialise(this);
  }

  /**
   * Sets stochastic depth in training (Huang et al. 2016, arXiv:1603.09382). The probability to drop the residual
   * branches of a layer grows linearly from 0 in the first layer to `rate` in the last. Each window is dropped
   * independently, also in global layers. Source: `rfdetr.models.lwdetr: LWDETR.update_drop_path`.
   * @param rate 0 or more, below 1
   * @throws ModelConfigError if the rate is outside this range
   */
  setDropPath(rate: number): void {
    if (!(rate >= 0 && rate < 1))
      throw new ModelConfigError(`Expected a number from 0 to below 1 for the drop path but received ${rate}`);
    const { layer } = this.encoder;
    layer.forEach((one, i) => {
      one.dropPath.p = layer.length === 1 ? 0 : (rate * i) / (layer.length - 1);
    });
  }

  /**
   * Computes the feature maps.
   * @param images `[B, 3, H, W]`, normalised; H and W are multiples of patchSize · numWindows
   * @returns one map `[B, C, H/p, W/p]` for each feature index, channels-last in memory
   * @throws ModelConfigError if H or W is not such a multiple
   */
  override forward(images: Tensor): Tensor[] {
    const { patchSize, numWindows, outFeatureIndexes } = this.#config;
    const [, , height, width] = images.shape;
    checkInputSize(this.#config, height, width);
    const rows = height / patchSize;
    const columns = width / patchSize;
    const features: Tensor[] = [];
    let hidden = this.embeddings.call(images);
    for (let state = 0; ; state++) {
      if (outFeatureIndexes.includes(state)) {
        const tokens = this.layernorm.call(hidden).slice(1, 1);
        features.push(unpartition(tokens, rows, columns, numWindows).transpose(1, 2).unflatten(2, [rows, columns]));
      }
      if (state >= Math.max(...outFeatureIndexes) || state >= this.encoder.layer.length) break;
      const layer = this.encoder.layer[state];
      hidden = this.checkpointing ? checkpointed(layer, [hidden], ([x]) => layer.call(x)) : layer.call(hidden);
    }
    return features;
  }
}

/**
 * Draws weights, positional embeddings and class token from a truncated normal (standard deviation 0.02); biases are 0.
 */
function initialise(encoder: WindowedDinov2): void {
  noGrad(() => {
    for (const [name, parameter] of encoder.namedParameters()) {
      if (name.endsWith("mask_token")) continue;
      if (name.endsWith(".bias")) nn.init.zeros_(parameter);
      else if (parameter.ndim > 1) nn.init.truncNormal_(parameter, 0, 0.02);
    }
  });
}
