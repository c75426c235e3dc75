// The encoder: DINOv2 (Oquab et al. 2023, arXiv:2304.07193) with windowed attention in most layers.
import { isGradEnabled, nn, noGrad, ops, type Tensor, zeros } from "@rfdetr/torch";
import { InternalError, ModelConfigError } from "../../support/errors.js";
import { checkpointed } from "../checkpointing.js";
import type { EncoderConfig, ModelConfig } from "../types.js";
import { checkInputSize } from "../variants.js";

const eps = 1e-6;

/** Patch embedding: a convolution whose kernel and stride are the patch size p. */
class PatchEmbeddings extends nn.Module {
  projection: nn.Conv2d;
  constructor(width: number, patchSize: number) {
    super();
    this.projection = new nn.Conv2d(3, width, patchSize, { stride: patchSize });
  }
  /** Maps `[B, 3, H, W]` to tokens `[B, H/p · W/p, C]`, row by row. */
  override forward(images: Tensor): Tensor {
    return this.projection.call(images).flatten(2).transpose(1, 2);
  }
}

/**
 * Embeds images as windows of tokens: patch embedding, positional embedding, window partition, class token. Source:
 * `rfdetr.models.backbone.dinov2_with_windowed_attn: WindowedDinov2WithRegistersEmbeddings`.
 */
class Embeddings extends nn.Module {
  clsToken: nn.Parameter;
  /** Unused here. DINOv2's masked pre-training needs it, and every checkpoint contains it. */
  maskToken: nn.Parameter;
  positionEmbeddings: nn.Parameter;
  patchEmbeddings: PatchEmbeddings;
  readonly #config: ModelConfig;

  constructor(config: ModelConfig) {
    super();
    const { width } = config.encoder;
    this.#config = config;
    this.clsToken = nn.parameter(() => zeros([1, 1, width]));
    this.maskToken = nn.parameter(() => zeros([1, width]));
    this.positionEmbeddings = nn.parameter(() => zeros([1, config.positionalEncodingSize ** 2 + 1, width]));
    this.patchEmbeddings = new PatchEmbeddings(width, config.patchSize);
  }

  /** Maps `[B, 3, H, W]` to `[B · windows², 1 + tokens of a window, C]`; the class token comes first in each window. */
  override forward(images: Tensor): Tensor {
    const { patchSize, numWindows } = this.#config;
    const [batch, , height, width] = images.shape;
    const rows = height / patchSize;
    const columns = width / patchSize;
    const patches = this.patchEmbeddings.call(images);
    const [position, clsPosition] = this.#position(rows, columns);
    const cls = this.clsToken.add(clsPosition).expand([batch * numWindows ** 2, 1, -1]);
    const placed = patches.add(position);
    return ops.cat([cls.to(placed.dtype), partition(placed, rows, columns, numWindows)], { dim: 1 });
  }

  /**
   * The positional embeddings of the patches `[1, rows·columns, C]`, and of the class token `[1, 1, C]`. They are
   * interpolated (bicubic, antialiased) if the input has another grid. The interpolation is in float32 for every dtype
   * of the model, as in the Python package.
   */
  #position(rows: number, columns: number): [patches: Tensor, cls: Tensor] {
    const side = this.#config.positionalEncodingSize;
    const table = this.positionEmbeddings;
    const cls = table.narrow(1, 0, 1);
    const patches = table.narrow(1, 1, side * side);
    if (rows * columns === side * side && rows === columns) return [patches, cls];
    const grid = patches.view(1, side, side, -1).permute(0, 3, 1, 2).to("float32");
    const resized = ops._upsampleBicubic2dAa(grid, [rows, columns], false).to(table.dtype);
    return [resized.flatten(2).transpose(1, 2), cls];
  }
}

/**
 * Splits the tokens of each image into n × n windows. Windows are ordered row by row within an image, and tokens row by
 * row within a window.
 * @param tokens `[B, rows·columns, C]`, row by row
 * @param rows a multiple of `windows`
 * @param columns a multiple of `windows`
 * @param windows n, the number of windows on each side
 * @returns `[B·n², rows·columns / n², C]`
 * @internal for tests
 */
export function partition(tokens: Tensor, rows: number, columns: number, windows: number): Tensor {
  if (windows === 1) return tokens;
  const [batch, , width] = tokens.shape;
  const h = rows / windows;
  const w = columns / windows;
  return tokens
    .view(batch, windows, h, windows, w, width)
    .permute(0, 1, 3, 2, 4, 5)
    .reshape(batch * windows ** 2, h * w, width);
}

/**
 * The inverse of {@link partition}.
 * @internal for tests
 */
export function unpartition(tokens: Tensor, rows: number, columns: number, windows: number): Tensor {
  if (windows === 1) return tokens;
  const [count, , width] = tokens.shape;
  const h = rows / windows;
  const w = columns / windows;
  return tokens
    .view(count / windows ** 2, windows, windows, h, w, width)
    .permute(0, 1, 3, 2, 4, 5)
    .reshape(count / windows ** 2, rows * columns, width);
}

/** Query, key and value projections with scaled dot-product attention. */
class SelfAttention extends nn.Module {
  query: nn.Linear;
  key: nn.Linear;
  value: nn.Linear;
  constructor(
    readonly width: number,
    readonly heads: number,
  ) {
    super();
    this.query = new nn.Linear(width, width);
    this.key = new nn.Linear(width, width);
    this.value = new nn.Linear(width, width);
  }
  override forward(x: Tensor): Tensor {
    const split = (projected: Tensor): Tensor => projected.unflatten(-1, [this.heads, this.width / this.heads]);
    const attended = ops.attention(
      split(this.query.call(x)),
      split(this.key.call(x)),
      split(this.value.call(x)),
      1 / Math.sqrt(this.width / this.heads),
    );
    return attended.flatten(2);
  }
}

/** Output projection of the attention. */
class SelfOutput extends nn.Module {
  dense: nn.Linear;
  constructor(width: number) {
    super();
    this.dense = new nn.Linear(width, width);
  }
  override forward(x: Tensor): Tensor {
    return this.dense.call(x);
  }
}

/**
 * Multi-head self-attention. The state-dict keys are those of DINOv2 checkpoints: `attention.{query,key,value}` and
 * `output.dense`.
 */
class Attention extends nn.Module {
  attention: SelfAttention;
  output: SelfOutput;
  constructor(width: number, heads: number) {
    super();
    this.attention = new SelfAttention(width, heads);
    this.output = new SelfOutput(width);
  }
  override forward(x: Tensor): Tensor {
    return this.output.call(this.attention.call(x));
  }
}

/** Feed-forward network with GELU. */
class Mlp extends nn.Module {
  fc1: nn.Linear;
  fc2: nn.Linear;
  /** Whether backward computes the hidden layer again. */
  recompute = false;
  constructor(width: number, hidden: number) {
    super();
    this.fc1 = new nn.Linear(width, hidden);
    this.fc2 = new nn.Linear(hidden, width);
  }
  override forward(x: Tensor): Tensor {
    return nn.mlp([this.fc1, this.fc2], x, "gelu", { recompute: this.recompute });
  }
}

/** Layer scale: a learned factor for each channel (Touvron et al. 2021, arXiv:2103.17239). Here it starts at 1. */
class LayerScale extends nn.Module {
  lambda1: nn.Parameter;
  constructor(width: number) {
    super();
    this.lambda1 = nn.parameter(() => zeros([width]).add(1));
  }
  override forward(x: Tensor): Tensor {
    return x.mul(this.lambda1);
  }
}

/**
 * Pre-norm transformer layer. Attention is windowed, except in a global layer, which joins the windows of each image
 * for its attention. Source: `rfdetr.models.backbone.dinov2_with_windowed_attn: WindowedDinov2WithRegistersLayer`.
 */
class Layer extends nn.Module {
  norm1: nn.LayerNorm;
  attention: Attention;
  layerScale1: LayerScale;
  dropPath: nn.DropPath;
  norm2: nn.LayerNorm;
  mlp: Mlp;
  layerScale2: LayerScale;
  constructor(
    config: EncoderConfig,
    readonly isGlobal: boolean,
    readonly windows: number,
  ) {
    super();
    this.norm1 = new nn.LayerNorm(config.width, { eps });
    this.attention = new Attention(config.width, config.heads);
    this.layerScale1 = new LayerScale(config.width);
    this.dropPath = new nn.DropPath();
    this.norm2 = new nn.LayerNorm(config.width, { eps });
    this.mlp = new Mlp(config.width, config.width * config.mlpRatio);
    this.layerScale2 = new LayerScale(config.width);
  }
  override forward(x: Tensor): Tensor {
    const [count, length, width] = x.shape;
    const joined = this.isGlobal && this.windows > 1;
    // Joined before the norm: queries, keys and values then read the rounded form that comes with its result.
    const images = joined ? x.view(count / this.windows ** 2, length * this.windows ** 2, width) : x;
    const attended = this.attention.call(this.norm1.call(images));
    const y = this.#add(x, joined ? attended.view(count, length, width) : attended, this.layerScale1);
    return this.#add(y, this.mlp.call(this.norm2.call(y)), this.layerScale2);
  }

  /** Adds a branch to the residual stream. In prediction, scaling and sum are one pass over memory. */
  #add(x: Tensor, branch: Tensor, scale: LayerScale): Tensor {
    if (!this.training && !isGradEnabled()) return ops.addcmul(x, branch, scale.lambda1);
    return x.add(this.dropPath.call(scale.call(branch)));
  }
}

/** The layers of the encoder. A layer is global if its index is a feature index or above the last one. */
class LayerStack extends nn.Module {
  layer: Layer[];
  constructor(config: ModelConfig) {
    super();
    const { outFeatureIndexes, encoder, numWindows } = config;
    const last = Math.max(...outFeatureIndexes);
    this.layer = Array.from(
      { length: encoder.layers },
      (_, i) => new Layer(encoder, outFeatureIndexes.includes(i) || i > last, numWindows),
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

  /** Whether backward computes the hidden layers of the perceptrons again. */
  set lean(on: boolean) {
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
