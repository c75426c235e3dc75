/** Architecture of the DINOv2 encoder. */
export interface EncoderConfig {
  /** Channels of a token. */
  width: number;
  layers: number;
  heads: number;
  /** Hidden width of the MLP as a multiple of `width`. */
  mlpRatio: number;
}

/** A feature map of the projector: P3 has stride 8 with patches of 16 pixels, P4 stride 16, P5 stride 32. */
export type ProjectorScale = "P3" | "P4" | "P5";

/**
 * Architecture of one model. Sizes in pixels are of the square training resolution; any size divisible by the block
 * runs.
 */
export interface ModelConfig {
  variant: string;
  encoder: EncoderConfig;
  patchSize: number;
  /** Windows per side. */
  numWindows: number;
  resolution: number;
  /** Side of the grid of the position-embedding table. */
  positionalEncodingSize: number;
  /** Numbers of encoder layers after which a feature map is taken. */
  outFeatureIndexes: number[];
  hiddenDim: number;
  decLayers: number;
  saNheads: number;
  caNheads: number;
  decNPoints: number;
  dimFeedforward: number;
  projectorScale: ProjectorScale[];
  numQueries: number;
  numSelect: number;
  /** The heads have one logit more. */
  numClasses: number;
  groupDetr: number;
}

/** One object that was found. */
export interface Detection {
  /** Left, top, right, bottom in pixels of the original image. */
  box: [number, number, number, number];
  score: number;
  classId: number;
  className: string;
}
