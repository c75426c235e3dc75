// Multi-scale deformable attention (Zhu et al. 2021, arXiv:2010.04159, equation 3).
import { decompose, nn, noGrad, ops, scope, type Tensor, tensor } from "@rfdetr/torch";
import { ModelConfigError } from "../../support/errors.js";

/** Height and width of each pyramid level, in tokens. */
export type LevelShapes = readonly (readonly [height: number, width: number])[];

/**
 * Computes `rfdetr::deformable_attention` with operators of PyTorch. A sampling point with offset Δ lies at
 * xy + ½ · Δ · wh / points, for the reference box (xy, wh). Values are sampled there with bilinear interpolation and
 * summed with the softmax of the logits as weights. Source: `rfdetr.models.ops.modules.ms_deform_attn:
 * MSDeformAttn.forward`.
 * @param value `[B, S, heads, c]`: tokens of all levels, level by level
 * @param shapes height and width of each level
 * @param reference `[B, N, 4]`: centre x, centre y, width, height as fractions of the image
 * @param offsets `[B, N, heads, levels, points, 2]`
 * @param logits `[B, N, heads, levels·points]`
 * @returns `[B, N, heads·c]` in the dtype of the reference
 */
function composedDeformableAttention(
  value: Tensor,
  shapes: LevelShapes,
  reference: Tensor,
  offsets: Tensor,
  logits: Tensor,
): Tensor {
  const [batch, , heads, channels] = value.shape;
  const [, queries, , levels, points] = offsets.shape;
  const dtype = reference.dtype === "float64" ? "float64" : "float32";
  const weights = logits.to(dtype).softmax(-1);
  const [xy, wh] = reference.to(dtype).unsqueeze(2).unsqueeze(2).unsqueeze(2).chunk(2, -1);
  const locations = xy.add(
    offsets
      .to(dtype)
      .mul(wh)
      .mul(0.5 / points),
  );
  const perHead = value.to(dtype).permute(0, 2, 3, 1).flatten(0, 1);
  const grid = locations.mul(2).sub(1).transpose(1, 2).flatten(0, 1);
  let start = 0;
  const samples = shapes.map(([height, width], level) => {
    const map = perHead.narrow(2, start, height * width).unflatten(2, [height, width]);
    start += height * width;
    return ops.gridSampler(map, grid.select(2, level), 0, 0, false);
  });
  const stacked = samples.length === 1 ? samples[0] : ops.cat(samples, { dim: -1 });
  const summed = stacked.mul(weights.transpose(1, 2).reshape(batch * heads, 1, queries, levels * points)).sum(-1);
  return summed.view(batch, heads * channels, queries).transpose(1, 2);
}

decompose("rfdetr::deformable_attention", {
  // The kernel sums in another order.
  exact: () => false,
  run([value, shapes, reference, offsets, logits]) {
    const flat = shapes as number[];
    const pairs = Array.from({ length: flat.length / 2 }, (_, i) => [flat[2 * i], flat[2 * i + 1]] as const);
    return composedDeformableAttention(
      value as Tensor,
      pairs,
      reference as Tensor,
      offsets as Tensor,
      logits as Tensor,
    );
  },
});

/**
 * Multi-scale deformable attention from queries with reference boxes to the memory. Source:
 * `rfdetr.models.ops.modules.ms_deform_attn: MSDeformAttn`, for reference boxes with four coordinates.
 * @throws ModelConfigError if the hidden size is not divisible by the number of heads
 */
export class MSDeformAttn extends nn.Module {
  samplingOffsets: nn.Linear;
  attentionWeights: nn.Linear;
  valueProj: nn.Linear;
  outputProj: nn.Linear;

  constructor(
    readonly size: number,
    readonly levels: number,
    readonly heads: number,
    readonly points: number,
  ) {
    super();
    if (size % heads !== 0)
      throw new ModelConfigError(`Expected a hiddenDim divisible by caNheads (${heads}) but received ${size}`);
    const samples = heads * levels * points;
    this.samplingOffsets = new nn.Linear(size, samples * 2);
    this.attentionWeights = new nn.Linear(size, samples);
    this.valueProj = new nn.Linear(size, size);
    this.outputProj = new nn.Linear(size, size);
    this.initialise();
  }

  /**
   * Initialises the weights. The offsets of each head point in one direction, and those of point p have length p + 1
   * (in the maximum norm). All attention weights start equal. Source: `MSDeformAttn._reset_parameters`.
   */
  initialise(): void {
    noGrad(() => {
      for (const layer of [this.samplingOffsets, this.attentionWeights]) nn.init.zeros_(layer.weight);
      const bias = Float32Array.from({ length: this.heads * this.levels * this.points * 2 }, (_, i) => {
        const axis = i % 2;
        const point = Math.floor(i / 2) % this.points;
        const head = Math.floor(i / (2 * this.points * this.levels));
        const angle = (2 * Math.PI * head) / this.heads;
        const direction = [Math.cos(angle), Math.sin(angle)];
        return (direction[axis] / Math.max(Math.abs(direction[0]), Math.abs(direction[1]))) * (point + 1);
      });
      scope(() => (this.samplingOffsets.bias as Tensor).copy_(tensor(bias)));
      nn.init.zeros_(this.attentionWeights.bias as Tensor);
      for (const layer of [this.valueProj, this.outputProj]) {
        nn.init.xavierUniform_(layer.weight);
        nn.init.zeros_(layer.bias as Tensor);
      }
    });
  }

  /**
   * Attends to the memory around each reference box.
   * @param query `[B, N, d]`: queries with their positional embedding added
   * @param reference `[B, N, 4]`: reference boxes, float32 or float64
   * @param memory `[B, S, d]`: tokens of all levels, level by level
   * @param shapes height and width of each level
   * @returns `[B, N, d]`
   */
  override forward(query: Tensor, reference: Tensor, memory: Tensor, shapes: LevelShapes): Tensor {
    const { heads, levels, points, size } = this;
    const value = this.valueProj.call(memory).unflatten(-1, [heads, size / heads]);
    const offsets = this.samplingOffsets.call(query).unflatten(-1, [heads, levels, points, 2]);
    const logits = this.attentionWeights.call(query).unflatten(-1, [heads, levels * points]);
    return this.outputProj.call(ops.deformableAttention(value, shapes.flat(), reference, offsets, logits));
  }
}
