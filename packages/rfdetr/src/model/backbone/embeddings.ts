// From pixels to windows of tokens with their positions.
import { nn, ops, type Tensor, zeros } from "@rfdetr/torch";
import type { ModelConfig } from "../types.js";
import { partition } from "./windows.js";

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
export class Embeddings extends nn.Module {
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
