// A transformer layer of the encoder: attention and perceptron, each with a norm before and layer scale after.
import { isGradEnabled, nn, ops, type Tensor, zeros } from "@rfdetr/torch";
import type { EncoderConfig } from "../types.js";

/** What the norms of the encoder add to the variance. */
export const eps = 1e-6;

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
export class EncoderLayer extends nn.Module {
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
