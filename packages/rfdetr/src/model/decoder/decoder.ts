// The decoder: layers of self-attention among queries and deformable cross-attention to the memory (Deformable DETR,
// arXiv:2010.04159).

import { nn, ops, scope, type Tensor } from "@rfdetr/torch";
import { checkpointed } from "../checkpointing.js";
import type { ModelConfig } from "../types.js";
import { type LevelShapes, MSDeformAttn } from "./deformable-attention.js";
import { MLP } from "./mlp.js";
import { sineEmbedding } from "./sine-embedding.js";

/**
 * Self-attention among the queries of each group (Group DETR, arXiv:2207.13085). The groups are stacked on the batch
 * axis, so that no query attends to another group. The positional embedding is added to queries and keys, not to
 * values. The state-dict keys are those of PyTorch's `MultiheadAttention`.
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
  /**
   * @param target `[B, groups·Q, d]`: queries
   * @param position `[B, groups·Q, d]`: their positional embedding
   * @param groups number of query groups
   */
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

/**
 * Post-norm decoder layer: self-attention, deformable cross-attention, feed-forward network. Source:
 * `rfdetr.models.transformer: TransformerDecoderLayer`.
 */
class DecoderLayer extends nn.Module {
  selfAttn: GroupSelfAttention;
  norm1: nn.LayerNorm;
  crossAttn: MSDeformAttn;
  norm2: nn.LayerNorm;
  linear1: nn.Linear;
  linear2: nn.Linear;
  norm3: nn.LayerNorm;
  /** Whether backward computes the hidden layer of the feed-forward network again. */
  recompute = false;
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
    // A sum is free as soon as it is normed, and its terms as soon as they are summed.
    const normed = (norm: nn.LayerNorm, sum: () => Tensor): Tensor => scope(() => norm.call(scope(sum)));
    return normed(this.norm3, () => {
      const b = normed(this.norm2, () => {
        const a = normed(this.norm1, () => target.add(this.selfAttn.call(target, position, groups)));
        return a.add(this.crossAttn.call(a.add(position), reference, memory, shapes));
      });
      return b.add(nn.mlp([this.linear1, this.linear2], b, "relu", { recompute: this.recompute }));
    });
  }
}

/**
 * The decoder. All layers use the same reference boxes, which are embedded once and not refined between layers
 * (`lite_refpoint_refine` in the Python package). Source: `rfdetr.models.transformer: TransformerDecoder`.
 */
export class Decoder extends nn.Module {
  layers: DecoderLayer[];
  norm: nn.LayerNorm;
  refPointHead: MLP;
  /** Whether backward recomputes the activations of the layers instead of keeping them. */
  checkpointing = false;
  /** Whether backward computes the embedding of the reference boxes again. */
  recomputeEmbedding = false;

  /** Whether backward computes the hidden layers of the MLPs again. */
  set recomputeHidden(on: boolean) {
    for (const layer of this.layers) layer.recompute = on;
  }

  constructor(config: ModelConfig) {
    super();
    const d = config.hiddenDim;
    this.layers = Array.from({ length: config.decLayers }, () => new DecoderLayer(config));
    this.norm = new nn.LayerNorm(d);
    this.refPointHead = new MLP(2 * d, d, d, 2);
  }
  /**
   * Runs all layers.
   * @param target `[B, groups·Q, d]`: content queries
   * @param reference `[B, groups·Q, 4]`: reference boxes, float32 or float64
   * @param memory `[B, S, d]`: tokens of all pyramid levels
   * @param shapes height and width of each pyramid level
   * @param groups number of query groups
   * @returns the output of each layer after the final norm, `[B, groups·Q, d]`
   */
  override forward(target: Tensor, reference: Tensor, memory: Tensor, shapes: LevelShapes, groups: number): Tensor[] {
    const embed = ([boxes]: Tensor[]): Tensor => this.refPointHead.call(sineEmbedding(boxes, target.shape[2] / 2));
    const position = scope(() =>
      this.recomputeEmbedding ? checkpointed(this.refPointHead, [reference], embed) : embed([reference]),
    );
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
