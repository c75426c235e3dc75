// What goes into the prediction thread and comes out of it, and what a model of it must do.
import type { NumberFormatName, Precision } from "@rfdetr/amp";
import type { RgbPixels } from "../data/images/rgb.js";
import type { ResizeOptions } from "../eval/pixels.js";
import type { Detection } from "../model/types.js";
import type { BestBelow, Candidate } from "../onnx/detections.js";
import type { RecordedThresholds } from "../support/recorded-thresholds.js";
import type { Shape } from "../support/shape.js";
import type { ClassNumbering } from "../weights/classes/class-numbering.js";
import type { KnownSelection, Selection } from "./selection.js";
import type { Tiling } from "./tiles.js";

/** Which detections are reported, and how images are resized. */
export interface DetectOptions extends ResizeOptions, Selection {
  /** Whether images are turned upright by their EXIF tag; default true. Boxes are in the frame that is seen then. */
  autoOrient?: boolean;
  /**
   * Cuts large images into overlapping tiles, so that small objects keep their size: the side of a tile in pixels of
   * the image (32 or more), or a `Tiling`. Default: images are seen whole.
   */
  tiles?: number | Tiling;
  /**
   * What images are resized to for the model, in pixels: the side of a square, or height and width. Multiples of the
   * patch size times the windows (32 for `nano`) are possible; a larger shape shows smaller objects, and takes longer.
   * Default: the resolution of the model, for which its figures hold. An exported file has its own only.
   */
  shape?: Shape;
}

/** The same, with thresholds as numbers. */
export type KnownDetectOptions = Omit<DetectOptions, "threshold"> & Pick<KnownSelection, "threshold">;

/** Detections of an image and its size in pixels. */
export interface ImagePrediction {
  width: number;
  height: number;
  /** Best first, boxes in pixels of the image, masks at its size. */
  detections: Detection[];
  /**
   * Where there are no detections: the best candidate of the classes that are reported. Absent where the model has
   * none of these classes among its candidates.
   */
  bestBelow?: BestBelow;
}

/** What is found in an image at the model's size. */
export interface SquarePrediction extends ImagePrediction {
  /** The best candidate of each class that is not above the threshold, best first. */
  below: Candidate[];
}

/** Pixels of an image, and the size that boxes refer to where the pixels are fewer. */
export interface DecodedImage extends RgbPixels {
  original?: { width: number; height: number };
}

/** An image at the model's size, and the size that it had. */
export interface SquareImage {
  /** `[height, width, 3]`: square unless `shape` or an exported file says otherwise. */
  pixels: Uint8Array | Float32Array;
  width: number;
  height: number;
}

/** Which model a detector needs. */
export interface ModelRequest {
  weights: string;
  precision: Precision | "auto" | boolean;
  /** Number format to emulate in linear layers; null for none. Default: that of the training. */
  numberFormat?: NumberFormatName | null;
  /** `auto`, `cpu` or `cuda:N`. */
  device: string;
  /** The label of the first class in a checkpoint of the Python package. */
  classNumbering?: ClassNumbering;
  /** Names of the classes of an exported file that has none. */
  classNames?: readonly string[];
}

/** What a detector knows of its model once that is loaded. */
export interface ModelInfo {
  /** Variant of the weights, such as `nano`. */
  model: string;
  classNames: readonly string[];
  /**
   * What images are resized to, in pixels: the side of a square, or height and width where an exported file sees
   * rectangles.
   */
  resolution: Shape;
  /** `32-true`, `bf16-mixed`, …; of an exported file that of its export: `fp32`, `fp16`, … */
  precision: string;
  /** The number format that linear layers are emulated in; null for none. */
  numberFormat: NumberFormatName | null;
  device: string;
  /**
   * Thresholds with the best F1 in the evaluation of the training. As `threshold` they are `--threshold best-by-class`
   * of the command: each class has its own. `thresholds["*"]` is the one for all classes, `--threshold best`. Null
   * where the file has none.
   */
  thresholds: RecordedThresholds | null;
  /** What is unusual about the weights. */
  warnings: readonly string[];
}

/** A model of the prediction thread: of libtorch, or of onnxruntime. */
export interface HostedModel {
  readonly info: Omit<ModelInfo, "warnings">;
  /** A decoded image at the model's size. */
  toSquare(image: DecodedImage, options: Pick<DetectOptions, "antialias" | "shape">): SquareImage;
  /** @param shape of the images, where it is not the resolution of the model */
  detectSquares(
    images: readonly SquareImage[],
    threshold?: number,
    shape?: Shape,
  ): SquarePrediction[] | Promise<SquarePrediction[]>;
  /** @throws ModelConfigError if the model cannot see images of a shape */
  checkShape(shape: Shape): void;
  /** @throws ConfigError if there is no memory for so many images at once */
  checkMemory(images: number, shape?: Shape): void;
  dispose(): void | Promise<void>;
}
