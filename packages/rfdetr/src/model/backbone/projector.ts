// The projector: resamples and joins the encoder's feature maps into the pyramid levels that the decoder reads.
import { nn, ops, type Tensor } from "@rfdetr/torch";
import type { ModelConfig, ProjectorScale } from "../types.js";

/**
 * LayerNorm over the channels of `[B, C, h, w]`. The maps are channels-last in memory, so the permutations copy
 * nothing.
 */
class LayerNorm2d extends nn.Module {
  weight: nn.Parameter;
  bias: nn.Parameter;
  constructor(readonly channels: number) {
    super();
    const norm = new nn.LayerNorm(channels);
    this.weight = norm.weight;
    this.bias = norm.bias;
  }
  override forward(x: Tensor): Tensor {
    return ops
      .layerNorm(x.permute(0, 2, 3, 1), [this.channels], { weight: this.weight, bias: this.bias, eps: 1e-6 })
      .permute(0, 3, 1, 2);
  }
}

type Activation = (x: Tensor) => Tensor;
const silu: Activation = (x) => ops.silu(x);
const relu: Activation = (x) => ops.relu(x);

/**
 * Convolution without bias, LayerNorm (its key is `bn`), activation. Source: `rfdetr.models.backbone.projector: ConvX`.
 */
class ConvX extends nn.Module {
  conv: nn.Conv2d;
  bn: LayerNorm2d;
  readonly #activation: Activation;
  constructor(inChannels: number, outChannels: number, kernel: number, stride: number, activation: Activation) {
    super();
    this.conv = new nn.Conv2d(inChannels, outChannels, kernel, {
      stride,
      padding: Math.floor(kernel / 2),
      bias: false,
    });
    this.bn = new LayerNorm2d(outChannels);
    this.#activation = activation;
  }
  override forward(x: Tensor): Tensor {
    return this.#activation(this.bn.call(this.conv.call(x)));
  }
}

/** Two 3×3 convolutions without a shortcut. */
class Bottleneck extends nn.Module {
  cv1: ConvX;
  cv2: ConvX;
  constructor(channels: number) {
    super();
    this.cv1 = new ConvX(channels, channels, 3, 1, silu);
    this.cv2 = new ConvX(channels, channels, 3, 1, silu);
  }
  override forward(x: Tensor): Tensor {
    return this.cv2.call(this.cv1.call(x));
  }
}

/**
 * C2f block of YOLOv8. One half of the channels passes three bottlenecks in a row. A 1×1 convolution joins both halves
 * and the output of each bottleneck.
 */
class C2f extends nn.Module {
  cv1: ConvX;
  cv2: ConvX;
  m: Bottleneck[];
  constructor(inChannels: number, outChannels: number) {
    super();
    const half = outChannels / 2;
    this.cv1 = new ConvX(inChannels, 2 * half, 1, 1, silu);
    this.cv2 = new ConvX(5 * half, outChannels, 1, 1, silu);
    this.m = [new Bottleneck(half), new Bottleneck(half), new Bottleneck(half)];
  }
  override forward(x: Tensor): Tensor {
    const parts = this.cv1.call(x).chunk(2, 1);
    for (const bottleneck of this.m) parts.push(bottleneck.call(parts[parts.length - 1]));
    return this.cv2.call(ops.cat(parts, { dim: 1 }));
  }
}

/** Layers that resample a map: twice the size for P3, half the size for P5, none for P4. */
function sampling(channels: number, scale: ProjectorScale): nn.Module[] {
  if (scale === "P3") return [new nn.ConvTranspose2d(channels, channels / 2, 2, { stride: 2 })];
  if (scale === "P5") return [new ConvX(channels, channels, 3, 2, relu)];
  return [];
}

/**
 * For each pyramid level: resamples all feature maps, concatenates them, and applies a C2f block and a LayerNorm.
 * Source: `rfdetr.models.backbone.projector: MultiScaleProjector`.
 */
export class MultiScaleProjector extends nn.Module {
  /** Resampling layers, by level and feature map. */
  stagesSampling: nn.ModuleList<nn.ModuleList<nn.Sequential>>;
  stages: nn.Sequential[];

  constructor(config: ModelConfig) {
    super();
    const { width } = config.encoder;
    const maps = config.outFeatureIndexes;
    this.stagesSampling = new nn.ModuleList(
      config.projectorScale.map(
        (scale) => new nn.ModuleList(maps.map(() => new nn.Sequential(sampling(width, scale)))),
      ),
    );
    this.stages = config.projectorScale.map((scale) => {
      const channels = maps.length * (scale === "P3" ? width / 2 : width);
      return new nn.Sequential([new C2f(channels, config.hiddenDim), new LayerNorm2d(config.hiddenDim)]);
    });
  }

  /**
   * Projects feature maps to pyramid levels.
   * @param features feature maps of the encoder, `[B, C, h, w]` each
   * @returns one map `[B, d, h', w']` for each level
   */
  override forward(features: Tensor[]): Tensor[] {
    return this.stages.map((stage, level) => {
      const resampled = features.map((feature, i) => this.stagesSampling.at(level).at(i).call(feature));
      return stage.call(resampled.length === 1 ? resampled[0] : ops.cat(resampled, { dim: 1 }));
    });
  }
}
