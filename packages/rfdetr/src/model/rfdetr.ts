// RF-DETR: a windowed DINOv2 encoder, a projector, two-stage query selection, a deformable decoder and shared heads.

import { nn, noGrad, ops, type Tensor } from "@rfdetr/torch";
import { WindowedDinov2 } from "./backbone/dinov2.js";
import { MultiScaleProjector } from "./backbone/projector.js";
import { refineBoxes } from "./decoder/box-refinement.js";
import { Decoder } from "./decoder/decoder.js";
import type { LevelShapes } from "./decoder/deformable-attention.js";
import { MLP } from "./decoder/mlp.js";
import { QuerySelection, type Selection } from "./decoder/query-selection.js";
import { SegmentationHead } from "./decoder/segmentation-head.js";
import type { Outputs, Prediction } from "./outputs.js";
import type { MemoryUse, ModelConfig } from "./types.js";

/** Adds one level to the keys of the encoder, as published checkpoints have it: `backbone.0.encoder.encoder`. */
class EncoderHolder extends nn.Module {
  encoder: WindowedDinov2;
  constructor(config: ModelConfig) {
    super();
    this.encoder = new WindowedDinov2(config);
  }
  override forward(images: Tensor): Tensor[] {
    return this.encoder.call(images);
  }
}

/** Encoder and projector. Source: `rfdetr.models.backbone.backbone: Backbone`. */
class Backbone extends nn.Module {
  encoder: EncoderHolder;
  projector: MultiScaleProjector;
  constructor(config: ModelConfig) {
    super();
    this.encoder = new EncoderHolder(config);
    this.projector = new MultiScaleProjector(config);
  }
  override forward(images: Tensor): Tensor[] {
    return this.projector.call(this.encoder.call(images));
  }
}

/**
 * Query selection and decoder. The path of the query selection is `transformer.query_selection`, but its keys in the
 * state dict begin with `transformer`, as in published checkpoints. Source: `rfdetr.models.transformer: Transformer`.
 */
class Transformer extends nn.Module {
  querySelection: QuerySelection;
  decoder: Decoder;
  constructor(config: ModelConfig) {
    super();
    this.querySelection = new QuerySelection(config);
    this.decoder = new Decoder(config);
    for (const [name, p] of this.namedParameters())
      if (p.ndim > 1 && !name.includes("class_embed")) nn.init.xavierUniform_(p);
    for (const layer of this.decoder.layers) layer.crossAttn.initialise();
  }
  override *namedChildren(): Generator<[string, nn.Module]> {
    yield ["decoder", this.decoder];
    yield ["", this.querySelection];
  }
  override name(path: string): void {
    super.name(path);
    this.querySelection.name(path === "" ? "query_selection" : `${path}.query_selection`);
  }

  /**
   * Selects proposals, refines them with the learned reference boxes, and runs the decoder.
   * @param maps one `[B, d, h, w]` for each pyramid level
   * @param content `[groups·Q, d]`: learned content queries
   * @param points `[groups·Q, 4]`: learned deltas of the reference boxes
   * @param groups number of query groups
   * @returns the output `[B, groups·Q, d]` of each decoder layer, the reference boxes `[B, groups·Q, 4]`, and the
   * proposals
   */
  override forward(
    maps: Tensor[],
    content: Tensor,
    points: Tensor,
    groups: number,
  ): { states: Tensor[]; reference: Tensor; selection: Selection } {
    const shapes: LevelShapes = maps.map((map) => [map.shape[2], map.shape[3]] as const);
    const levels = maps.map((map) => map.flatten(2).transpose(1, 2));
    const memory = levels.length === 1 ? levels[0] : ops.cat(levels, { dim: 1 });
    const selection = this.querySelection.call(memory, shapes);
    const batch = memory.shape[0];
    const learned = points.to(selection.boxes.dtype).unsqueeze(0).expand([batch, -1, -1]);
    const chosen = selection.boxes.shape[1];
    // If there are fewer tokens than queries, the proposals of all groups fill the first positions, across group
    // borders, and the other positions use their learned deltas as boxes. The published models were trained this way.
    const paired = refineBoxes(learned.narrow(1, 0, chosen), selection.boxes.detach());
    const reference =
      chosen === learned.shape[1]
        ? paired
        : ops.cat([paired, learned.narrow(1, chosen, learned.shape[1] - chosen)], { dim: 1 });
    const states = this.decoder.call(content.unsqueeze(0).expand([batch, -1, -1]), reference, memory, shapes, groups);
    return { states, reference, selection };
  }
}

/**
 * The detector RF-DETR. Training mode runs all query groups, evaluation mode only the first (Group DETR,
 * arXiv:2207.13085). The state dict has the keys of the Python package, except for its empty buffer `_kp_active_mask`.
 * Sources: LW-DETR (arXiv:2406.03459), `rfdetr.models.lwdetr: LWDETR`.
 * @example
 * import { noGrad, randn } from "@rfdetr/torch";
 * import { RFDETRModel, resolveModel } from "rfdetr/model";
 * const model = new RFDETRModel(resolveModel("nano", { numClasses: 8 })).eval();
 * const { predLogits, predBoxes } = noGrad(() => model.call(randn([1, 3, 384, 384])));
 */
export class RFDETRModel extends nn.Module {
  backbone: nn.ModuleList<Backbone>;
  transformer: Transformer;
  classEmbed: nn.Linear;
  bboxEmbed: MLP;
  refpointEmbed: nn.Embedding;
  queryFeat: nn.Embedding;
  segmentationHead: SegmentationHead | null;
  #memory: MemoryUse = "default";

  /**
   * Makes a model with random weights.
   * @param config the architecture, such as `resolveModel` returns
   * @throws ModelConfigError if hiddenDim is not divisible by caNheads
   */
  constructor(readonly config: ModelConfig) {
    super();
    const { hiddenDim: d, numQueries, groupDetr, numClasses } = config;
    this.backbone = new nn.ModuleList([new Backbone(config)]);
    this.transformer = new Transformer(config);
    this.classEmbed = new nn.Linear(d, numClasses + 1);
    this.bboxEmbed = new MLP(d, d, 4, 3);
    this.refpointEmbed = new nn.Embedding(numQueries * groupDetr, 4);
    this.queryFeat = new nn.Embedding(numQueries * groupDetr, d);
    this.segmentationHead = config.segmentationHead ? new SegmentationHead(config) : null;
    this.#initialise();
  }

  /**
   * Initialises the heads: a prior probability of 0.01 for every class (Lin et al. 2017, arXiv:1708.02002, §4.1), and
   * box deltas of 0. The heads of the query selection start as copies of the main heads.
   */
  #initialise(): void {
    noGrad(() => {
      nn.init.constant_(this.classEmbed.bias as Tensor, -Math.log((1 - 0.01) / 0.01));
      const last = this.bboxEmbed.layers[2];
      nn.init.zeros_(last.weight);
      nn.init.zeros_(last.bias as Tensor);
      nn.init.zeros_(this.refpointEmbed.weight);
      for (const head of this.transformer.querySelection.encOutClassEmbed)
        head.loadStateDict(this.classEmbed.stateDict());
      for (const head of this.transformer.querySelection.encOutBboxEmbed)
        head.loadStateDict(this.bboxEmbed.stateDict());
    });
  }

  /**
   * Sets the stochastic depth of the encoder in training (Huang et al. 2016, arXiv:1603.09382). The probability to drop
   * the residual branches of a layer grows linearly from 0 in the first layer to `rate` in the last. Source:
   * `rfdetr.models.lwdetr: LWDETR.update_drop_path`.
   * @param rate 0 (the default: no stochastic depth) or more, below 1
   * @throws ModelConfigError if the rate is outside this range
   */
  setDropPath(rate: number): void {
    this.backbone.at(0).encoder.encoder.setDropPath(rate);
  }

  /**
   * Activation checkpointing of the layers of encoder and decoder and of the blocks of the segmentation head (Chen et
   * al. 2016, arXiv:1604.06174): backward recomputes their activations, so that training needs less memory and more
   * time. The gradients are the same.
   */
  get checkpointing(): boolean {
    return this.transformer.decoder.checkpointing;
  }
  set checkpointing(on: boolean) {
    this.backbone.at(0).encoder.encoder.checkpointing = on;
    this.transformer.decoder.checkpointing = on;
    if (this.segmentationHead !== null) this.segmentationHead.checkpointing = on;
  }

  /** How much of a forward pass is kept for backward; `default` keeps all. The gradients are the same. */
  get memory(): MemoryUse {
    return this.#memory;
  }
  set memory(use: MemoryUse) {
    this.#memory = use;
    this.transformer.querySelection.recompute = use !== "default";
    this.transformer.decoder.recomputeEmbedding = use !== "default";
    this.backbone.at(0).encoder.encoder.recomputeHidden = use === "leanest";
    this.transformer.decoder.recomputeHidden = use === "leanest";
    if (this.segmentationHead !== null) this.segmentationHead.recomputeHidden = use === "leanest";
  }

  /**
   * Predicts logits and boxes, and masks if the model has a segmentation head.
   * @param images `[B, 3, H, W]`, normalised; H and W are multiples of patchSize · numWindows
   * @param allMasks whether the predictions that only a loss uses get masks too. Default: in training mode alone
   * @throws ModelConfigError if H or W is not such a multiple
   */
  override forward(images: Tensor, allMasks = this.training): Outputs {
    const { numQueries, groupDetr } = this.config;
    const groups = this.training ? groupDetr : 1;
    const rows = groups * numQueries;
    const maps = this.backbone.at(0).call(images);
    const { states, reference, selection } = this.transformer.call(
      maps,
      this.queryFeat.weight.narrow(0, 0, rows),
      this.refpointEmbed.weight.narrow(0, 0, rows),
      groups,
    );
    const [, , height, width] = images.shape;
    const masks = this.segmentationHead?.call(maps[0], states, selection.states as Tensor, [height, width], allMasks);
    const withMasks = (prediction: Prediction, layer: number): Prediction => {
      const predMasks = masks?.[layer];
      return predMasks === undefined ? prediction : { ...prediction, predMasks };
    };
    const encOutputs = withMasks({ predLogits: selection.logits, predBoxes: selection.boxes }, states.length);
    if (states.length === 0) return { ...encOutputs, auxOutputs: [], encOutputs };
    const predictions = states.map((state, layer) =>
      withMasks(
        {
          predLogits: this.classEmbed.call(state),
          predBoxes: refineBoxes(this.bboxEmbed.call(state), reference),
        },
        layer,
      ),
    );
    const final = predictions.pop() as Prediction;
    return { ...final, auxOutputs: predictions, encOutputs };
  }
}
