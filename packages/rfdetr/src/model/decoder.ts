// The decoder: deformable attention from learned queries at selected reference boxes (LW-DETR, arXiv:2406.03459).

import { nn, ops, type Tensor } from "@rfdetr/torch";
import { checkpointed } from "./checkpointing.js";
import { type LevelShapes, MSDeformAttn } from "./deformable-attention.js";
import { MLP } from "./mlp.js";
import { sineEmbedding } from "./sine-embedding.js";
import type { ModelConfig } from "./types.js";

/**
 * Self-attention among the queries of one group, with PyTorch's packed keys. Groups do not see each other: they are
 * stacked on the batch axis. Query and key carry the position, the value does not.
 */
class GroupSelfAttention extends nn.Module {
  inProjWeight: nn.Parameter;
  inProjBias: nn.Parameter;
  outProj: nn.Linear;
  constructor(
    readonly size: number,
    readonly heads: number,
  ) {
    super();
    const packed = new nn.MultiheadAttention(size, heads);
    this.inProjWeight = packed.inProjWeight;
    this.inProjBias = packed.inProjBias;
    this.outProj = packed.outProj;
  }
  /** @param target `[B, groups·Q, d]` */
  override forward(target: Tensor, position: Tensor, groups: number): Tensor {
    const { size, heads } = this;
    const [batch, queries] = target.shape;
    const [weightQk, weightV] = this.inProjWeight.split([2 * size, size]);
    const [biasQk, biasV] = this.inProjBias.split([2 * size, size]);
    const split = (x: Tensor): Tensor => x.view(batch * groups, queries / groups, heads, size / heads);
    const [query, key] = ops
      .linear(target.add(position), weightQk, { bias: biasQk })
      .view(batch * groups, queries / groups, 2, heads, size / heads)
      .unbind(2);
    const value = split(ops.linear(target, weightV, { bias: biasV }));
    const attended = ops.attention(query, key, value, 1 / Math.sqrt(size / heads));
    return this.outProj.call(attended.reshape(batch, queries, size));
  }
}

/** Post-norm layer: self-attention, deformable cross-attention, feed-forward. */
class DecoderLayer extends nn.Module {
  selfAttn: GroupSelfAttention;
  norm1: nn.LayerNorm;
  crossAttn: MSDeformAttn;
  norm2: nn.LayerNorm;
  linear1: nn.Linear;
  linear2: nn.Linear;
  norm3: nn.LayerNorm;
  constructor(config: ModelConfig) {
    super();
    const { hiddenDim: d, dimFeedforward } = config;
    this.selfAttn = new GroupSelfAttention(d, config.saNheads);
    this.norm1 = new nn.LayerNorm(d);
    this.crossAttn = new MSDeformAttn(d, config.projectorScale.length, config.caNheads, config.decNPoints);
    this.norm2 = new nn.LayerNorm(d);
    this.linear1 = new nn.Linear(d, dimFeedforward);
    this.linear2 = new nn.Linear(dimFeedforward, d);
    this.norm3 = new nn.LayerNorm(d);
  }
  override forward(
    target: Tensor,
    position: Tensor,
    reference: Tensor,
    memory: Tensor,
    shapes: LevelShapes,
    groups: number,
  ): Tensor {
    const a = this.norm1.call(target.add(this.selfAttn.call(target, position, groups)));
    const b = this.norm2.call(a.add(this.crossAttn.call(a.add(position), reference, memory, shapes)));
    return this.norm3.call(b.add(nn.mlp([this.linear1, this.linear2], b, "relu")));
  }
}

/**
 * All layers read the same reference boxes ("lite" refinement): they are embedded once and not refined in between.
 * `rfdetr.models.transformer: TransformerDecoder`.
 */
export class Decoder extends nn.Module {
  layers: DecoderLayer[];
  norm: nn.LayerNorm;
  refPointHead: MLP;
  /** Backward computes the layers' activations again instead of keeping them. */
  checkpointing = false;
  constructor(config: ModelConfig) {
    super();
    const d = config.hiddenDim;
    this.layers = Array.from({ length: config.decLayers }, () => new DecoderLayer(config));
    this.norm = new nn.LayerNorm(d);
    this.refPointHead = new MLP(2 * d, d, d, 2);
  }
  /**
   * @param target `[B, groups·Q, d]`, @param reference `[B, groups·Q, 4]`, float32 or above
   * @returns the normed output of every layer, `[B, groups·Q, d]` each
   */
  override forward(target: Tensor, reference: Tensor, memory: Tensor, shapes: LevelShapes, groups: number): Tensor[] {
    const position = this.refPointHead.call(sineEmbedding(reference, target.shape[2] / 2));
    const states: Tensor[] = [];
    let state = target;
    for (const layer of this.layers) {
      const inputs = [state, position, reference, memory];
      state = this.checkpointing
        ? checkpointed(layer, inputs, ([s, p, r, m]) => layer.call(s, p, r, m, shapes, groups))
        : layer.call(state, position, reference, memory, shapes, groups);
      states.push(this.norm.call(state));
    }
    return states;
  }
}
