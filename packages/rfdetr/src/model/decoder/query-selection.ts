// Two-stage query selection (Deformable DETR, arXiv:2010.04159, §4.2) for each query group (Group DETR,
// arXiv:2207.13085).

import { isGradEnabled, nn, noGrad, ops, type Tensor, tensor } from "@rfdetr/torch";
import { checkpointed } from "../checkpointing.js";
import type { ModelConfig } from "../types.js";
import { refineBoxes } from "./box-refinement.js";
import type { LevelShapes } from "./deformable-attention.js";
import { MLP } from "./mlp.js";

/** Proposals before the box head. */
export interface Proposals {
  /** `[S, 4]`: a box for each token (centre x, centre y, width, height as fractions of the image); 0 if invalid. */
  boxes: Tensor;
  /** `[S, 1]`: 1 if all four coordinates are strictly between 0.01 and 0.99, else 0. */
  valid: Tensor;
}

/**
 * Makes a box with width and height 0.05 · 2^level around the centre of each token. An invalid box becomes 0, but its
 * token stays a candidate. On the first level, the outermost tokens are invalid from 50 tokens on a side. Source:
 * `rfdetr.models.transformer: gen_encoder_output_proposals`.
 * @param shapes height and width of each level
 * @param like gives the dtype and the device of the result
 * @internal for tests
 */
export function gridProposals(shapes: LevelShapes, like: Tensor): Proposals {
  const boxes: number[] = [];
  const valid: number[] = [];
  shapes.forEach(([height, width], level) => {
    const side = Math.fround(0.05 * 2 ** level);
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++) {
        const box = [Math.fround((column + 0.5) / width), Math.fround((row + 0.5) / height), side, side];
        const inside = box.every((c) => c > Math.fround(0.01) && c < Math.fround(0.99));
        boxes.push(...(inside ? box : [0, 0, 0, 0]));
        valid.push(inside ? 1 : 0);
      }
  });
  return {
    boxes: tensor(Float32Array.from(boxes), { shape: [valid.length, 4], dtype: "float32" }).to({
      dtype: like.dtype,
      device: like.device,
    }),
    valid: tensor(Float32Array.from(valid), { shape: [valid.length, 1], dtype: "float32" }).to({
      dtype: like.dtype,
      device: like.device,
    }),
  };
}

/** The proposals of all groups, with k = min(numQueries, S) for each group. */
export interface Selection {
  /** `[B, groups·k, numClasses + 1]`: class logits of the selected tokens, group by group, best first. */
  logits: Tensor;
  /** `[B, groups·k, 4]`: proposals (centre x, centre y, width, height as fractions of the image), with gradient. */
  boxes: Tensor;
  /** `[B, groups·k, d]`: the normed tokens that logits and boxes are made of; only for a model that predicts masks. */
  states: Tensor | undefined;
}

/** What is computed of the chosen tokens, `[groups, B·k, …]`. */
type Heads = [logits: Tensor, delta: Tensor, states: Tensor];

/**
 * Applies a class head and a box head to the tokens, and selects the k tokens with the highest class logits in each
 * group as proposals. The rank of a proposal decides which learned query it is paired with. Low precision would make
 * ties and change the ranks, so the ranking uses the dtype of the weights (float32 in mixed precision).
 *
 * Only selected tokens get a gradient. So all tokens are ranked without autograd first. With autograd, the selected
 * ones are computed again. Source: `rfdetr.models.transformer: Transformer.forward`.
 */
export class QuerySelection extends nn.Module {
  encOutput: nn.Linear[];
  encOutputNorm: nn.LayerNorm[];
  encOutBboxEmbed: MLP[];
  encOutClassEmbed: nn.Linear[];
  /** Whether backward computes the heads of the chosen tokens again. */
  recompute = false;
  readonly #queries: number;
  readonly #givesStates: boolean;

  constructor(config: ModelConfig) {
    super();
    const { hiddenDim: d, groupDetr, numClasses } = config;
    this.#givesStates = config.segmentationHead;
    const each = <T>(make: () => T): T[] => Array.from({ length: groupDetr }, make);
    this.#queries = config.numQueries;
    this.encOutput = each(() => new nn.Linear(d, d));
    this.encOutputNorm = each(() => new nn.LayerNorm(d));
    this.encOutBboxEmbed = each(() => new MLP(d, d, 4, 3));
    this.encOutClassEmbed = each(() => new nn.Linear(d, numClasses + 1));
  }

  /**
   * Selects the proposals: of all groups in training mode, of the first group in evaluation mode.
   * @param memory `[B, S, d]`: tokens of all levels, level by level
   * @param shapes height and width of each level
   */
  override forward(memory: Tensor, shapes: LevelShapes): Selection {
    const groups = this.training ? this.encOutput.length : 1;
    const [batch, length, d] = memory.shape;
    const wide = memory.to(this.encOutput[0].weight.dtype);
    const proposals = gridProposals(shapes, wide);
    const tokens = wide.mul(proposals.valid).reshape(batch * length, d);
    const k = Math.min(this.#queries, length);

    const ranked = noGrad(() => {
      const hidden = this.#normed(affine(tokens.unsqueeze(0), this.encOutput, groups));
      const logits = affine(hidden, this.encOutClassEmbed);
      const [, chosen] = logits.amax(-1).view(groups, batch, length).topk(k);
      return { hidden, logits, chosen };
    });
    const { chosen } = ranked;
    const steps = (count: number, size: number): Tensor =>
      ops.arange(count, { dtype: "int64", device: chosen.device }).mul(size);
    // Rows of `tokens`, which hold image after image and which all groups share; and rows of `ranked`, which holds such
    // rows for each group.
    const inTokens = chosen.add(steps(batch, length).view(1, batch, 1));
    const inRanked = inTokens.add(steps(groups, batch * length).view(groups, 1, 1));
    const [logits, delta, states] = isGradEnabled()
      ? this.#chosenHeads(tokens, inTokens.view(groups, batch * k))
      : this.#pickedHeads(ranked, inRanked.view(groups, batch * k));
    const anchors = ops.embedding(proposals.boxes, chosen);
    const boxes = refineBoxes(delta.view(groups, batch, k, 4), anchors);
    const join = (x: Tensor): Tensor => x.transpose(0, 1).flatten(1, 2);
    return {
      logits: join(logits.view(groups, batch, k, -1)),
      boxes: join(boxes),
      states: this.#givesStates ? join(states.view(groups, batch, k, d)) : undefined,
    };
  }

  /** Computes the heads of the chosen rows of the tokens with autograd. @param rows `[groups, B·k]` */
  #chosenHeads(tokens: Tensor, rows: Tensor): Heads {
    const heads = ([tokens, rows]: Tensor[]): Heads => {
      const hidden = this.#normed(affine(ops.embedding(tokens, rows), this.encOutput));
      return [affine(hidden, this.encOutClassEmbed), this.#boxDelta(hidden), hidden];
    };
    if (!this.recompute) return heads([tokens, rows]);
    const outputs = this.#givesStates ? 3 : 2;
    const joined = checkpointed(this, [tokens, rows], (inputs) =>
      ops.cat(heads(inputs).slice(0, outputs), { dim: -1 }),
    );
    const classes = this.encOutClassEmbed[0].outFeatures;
    return [joined.narrow(2, 0, classes), joined.narrow(2, classes, 4), joined.slice(2, classes + 4)];
  }

  /**
   * Takes logits and states of the chosen rows from what ranked them.
   * @param rows `[groups, B·k]`, into all groups' rows
   */
  #pickedHeads(ranked: { hidden: Tensor; logits: Tensor }, rows: Tensor): Heads {
    const picked = (x: Tensor): Tensor => ops.embedding(x.flatten(0, 1), rows);
    const hidden = picked(ranked.hidden);
    return [picked(ranked.logits), this.#boxDelta(hidden), hidden];
  }

  #boxDelta(hidden: Tensor): Tensor {
    let delta = hidden;
    for (let i = 0; i < 3; i++) {
      delta = affine(
        delta,
        this.encOutBboxEmbed.map((mlp) => mlp.layers[i]),
      );
      if (i < 2) delta = ops.relu(delta);
    }
    return delta;
  }

  /** Applies the LayerNorm of each group to `[groups, N, d]`. */
  #normed(x: Tensor): Tensor {
    const norms = this.encOutputNorm.slice(0, x.shape[0]);
    return ops.groupedLayerNorm(
      x,
      norms.map((norm) => norm.weight),
      norms.map((norm) => norm.bias),
      norms[0].eps,
    );
  }
}

/**
 * Applies the linear layer of each group to its own rows `[groups, N, in]`, or to rows `[1, N, in]` that all groups
 * share.
 * @returns `[groups, N, out]`
 */
function affine(x: Tensor, layers: readonly nn.Linear[], groups = x.shape[0]): Tensor {
  const used = layers.slice(0, groups);
  return ops.groupedLinear(
    x,
    used.map((layer) => layer.weight),
    used.map((layer) => layer.bias as Tensor),
    false,
  );
}
