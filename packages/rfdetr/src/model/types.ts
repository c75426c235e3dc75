// The configuration of a model, and what it detects.
import type { Mask } from "../masks/mask.js";
import type { Shape } from "../support/shape.js";

/** Architecture of the DINOv2 encoder (Oquab et al. 2023, arXiv:2304.07193). */
export interface EncoderConfig {
  /** Channels of a token. */
  width: number;
  /** Number of transformer layers. */
  layers: number;
  /** Attention heads of each layer. */
  heads: number;
  /** Hidden channels of the MLP as a multiple of `width`. */
  mlpRatio: number;
}

/** A pyramid level of the projector. With patches of 16 pixels, P3 has stride 8, P4 stride 16 and P5 stride 32. */
export type ProjectorScale = "P3" | "P4" | "P5";

/** Architecture of one model. Source: `rfdetr.config: ModelConfig`, with names in snake case. */
export interface ModelConfig {
  /** Name of the variant, such as `nano`. */
  variant: string;
  encoder: EncoderConfig;
  /** Side of a patch in pixels. */
  patchSize: number;
  /** Attention windows along each side of the image; an image has the square of this number. */
  numWindows: number;
  /**
   * Size of the training images in pixels: the side of a square, or height and width. The model accepts every height
   * and width that is a multiple of patchSize · numWindows.
   */
  resolution: Shape;
  /** Side of the grid of learned positional embeddings, in patches. Other grids are interpolated from it. */
  positionalEncodingSize: number;
  /** The encoder returns a feature map after each of these numbers of layers. */
  outFeatureIndexes: number[];
  /** Channels of the memory and of the queries. */
  hiddenDim: number;
  /** Number of decoder layers. */
  decLayers: number;
  /** Heads of the self-attention among queries. */
  saNheads: number;
  /** Heads of the deformable cross-attention. */
  caNheads: number;
  /** Sampling points of the deformable cross-attention, for each head and pyramid level. */
  decNPoints: number;
  /** Hidden channels of the feed-forward network of a decoder layer. */
  dimFeedforward: number;
  /** Pyramid levels that the decoder reads. */
  projectorScale: ProjectorScale[];
  /** Queries of each group. */
  numQueries: number;
  /** Detections that post-processing selects for each image. */
  numSelect: number;
  /** Number of classes. The class heads have numClasses + 1 logits, as in the Python package. */
  numClasses: number;
  /** Query groups in training (Group DETR, arXiv:2207.13085). */
  groupDetr: number;
  /** Whether the model predicts a mask for each query. */
  segmentationHead: boolean;
  /** Pixels of the image along each side of a pixel of the masks. */
  maskDownsampleRatio: number;
}

/** One detected object. */
export interface Detection {
  /** Left, top, right, bottom in pixels of the original image. */
  box: [number, number, number, number];
  /** 0 to 1. */
  score: number;
  /** Index of the class. */
  classId: number;
  className: string;
  /** Its pixels in the original image; models with a segmentation head alone have it. */
  mask?: Mask;
}

/**
 * How much of a forward pass is kept for backward. `default` keeps all. `lean` computes again what is wide and
 * cheap: the heads of the selected proposals, and the embedding of the reference boxes. `leanest` also computes the
 * hidden layers of the MLPs of encoder and decoder again.
 */
export type MemoryUse = (typeof memoryUses)[number];
export const memoryUses = ["default", "lean", "leanest"] as const;
