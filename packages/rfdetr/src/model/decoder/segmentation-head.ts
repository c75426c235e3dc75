// The segmentation head: mask logits as the products of pixel features and query features, as in MaskFormer (Cheng et
// al. 2021, arXiv:2107.06278, §3.3).
import { nn, ops, type Tensor, zeros } from "@rfdetr/torch";
import { checkpointed } from "../checkpointing.js";
import type { MaskFeatures } from "../outputs.js";
import type { ModelConfig } from "../types.js";

/**
 * A ConvNeXt block (Liu et al. 2022, arXiv:2201.03545) whose perceptron is one layer:
 * x + GELU(W·LayerNorm(dwconv₃ₓ₃(x)) + b), `[B, d, h, w]`, channels-last in memory. Source:
 * `rfdetr.models.heads.segmentation: DepthwiseConvBlock`.
 */
class DepthwiseConvBlock extends nn.Module {
  dwconv: nn.Conv2d;
  norm: nn.LayerNorm;
  pwconv1: nn.Linear;
  constructor(size: number) {
    super();
    this.dwconv = new nn.Conv2d(size, size, 3, { padding: 1, groups: size });
    this.norm = new nn.LayerNorm(size, { eps: 1e-6 });
    this.pwconv1 = new nn.Linear(size, size);
  }
  override forward(x: Tensor): Tensor {
    const normed = this.norm.call(this.dwconv.call(x).permute(0, 2, 3, 1));
    return x.add(ops.gelu(this.pwconv1.call(normed)).permute(0, 3, 1, 2));
  }
}

/**
 * A residual perceptron of the queries: q + W₂·GELU(W₁·LayerNorm(q)), `[B, N, d]`. Source:
 * `rfdetr.models.heads.segmentation: MLPBlock`.
 */
class QueryBlock extends nn.Module {
  normIn: nn.LayerNorm;
  readonly #layers: readonly [nn.Linear, nn.Linear];
  /** Whether backward computes the hidden layer again. */
  recompute = false;
  constructor(size: number) {
    super();
    this.normIn = new nn.LayerNorm(size);
    this.#layers = [new nn.Linear(size, 4 * size), new nn.Linear(4 * size, size)];
  }
  /** Between the layers, the package counts the activation as a layer of its own. */
  override *namedChildren(): Generator<[string, nn.Module]> {
    yield ["norm_in", this.normIn];
    yield ["layers.0", this.#layers[0]];
    yield ["layers.2", this.#layers[1]];
  }
  override forward(x: Tensor): Tensor {
    return x.add(nn.mlp(this.#layers, this.normIn.call(x), "gelu", { recompute: this.recompute }));
  }
}

/**
 * Predicts the masks of all queries as {@link MaskFeatures}. The pixel features pass one block for each decoder layer,
 * and the queries of that layer see what the blocks up to its own have made of them; the proposals of the query
 * selection see them as they came. Source: `rfdetr.models.heads.segmentation: SegmentationHead`.
 */
export class SegmentationHead extends nn.Module {
  bias: nn.Parameter;
  blocks: DepthwiseConvBlock[];
  spatialFeaturesProj: nn.Conv2d;
  queryFeaturesBlock: QueryBlock;
  queryFeaturesProj: nn.Linear;
  /** Whether backward recomputes the activations of the blocks instead of keeping them. */
  checkpointing = false;
  readonly #ratio: number;

  constructor({ hiddenDim: d, decLayers, maskDownsampleRatio }: ModelConfig) {
    super();
    this.#ratio = maskDownsampleRatio;
    this.bias = nn.parameter(() => zeros([1]));
    this.blocks = Array.from({ length: decLayers }, () => new DepthwiseConvBlock(d));
    this.spatialFeaturesProj = new nn.Conv2d(d, d, 1);
    this.queryFeaturesBlock = new QueryBlock(d);
    this.queryFeaturesProj = new nn.Linear(d, d);
  }

  /** Whether backward computes the hidden layer of the queries' perceptron again. */
  set recomputeHidden(on: boolean) {
    this.queryFeaturesBlock.recompute = on;
  }

  /**
   * @param map `[B, d, h, w]`: the first pyramid level
   * @param states the queries of each decoder layer, `[B, N, d]`
   * @param selected `[B, k, d]`: the tokens of the proposals
   * @param size height and width of the images in pixels
   * @param all whether all layers and the proposals get masks, or the last layer alone
   * @returns the masks of each decoder layer, and of the proposals at the end; undefined for those that get none. The
   * pixel features are `[B, d, height / ratio, width / ratio]`, rounded down
   */
  override forward(
    map: Tensor,
    states: readonly Tensor[],
    selected: Tensor,
    [height, width]: readonly [number, number],
    all: boolean,
  ): (MaskFeatures | undefined)[] {
    const sides = [height, width].map((side) => Math.floor(side / this.#ratio));
    let pixels = ops.upsampleBilinear2d(map, sides, false);
    const proposed = all || states.length === 0 ? this.#features(pixels, selected) : undefined;
    const layers = states.map((state, i) => {
      const block = this.blocks[i];
      pixels = this.checkpointing ? checkpointed(block, [pixels], ([x]) => block.call(x)) : block.call(pixels);
      return all || i === states.length - 1 ? this.#features(pixels, state) : undefined;
    });
    return [...layers, proposed];
  }

  #features(pixels: Tensor, queries: Tensor): MaskFeatures {
    return {
      spatialFeatures: this.spatialFeaturesProj.call(pixels),
      queryFeatures: this.queryFeaturesProj.call(this.queryFeaturesBlock.call(queries)),
      bias: this.bias,
    };
  }
}
