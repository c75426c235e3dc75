// What a detector is made with.
import type { Precision } from "@rfdetr/amp";
import { type NumberFormatName, numberFormatNames } from "@rfdetr/amp/names";
import { precisionNames } from "../settings/precision-words.js";
import { callback, differentTexts, type OptionKinds, oneOf, orNull, text } from "../support/options.js";

/** What a detector is made with. */
export interface DetectorOptions {
  /**
   * Weights file, the folder of a run, or the name of published weights such as `nano`: what is detected with, and what
   * training starts from. Default: `coco`, what is published for the model; a model without published weights has
   * `none`, random weights.
   */
  weights?: string;
  /** The label of the first class in a checkpoint of the Python package; `auto` (the default) follows the file. */
  classNumbering?: "auto" | "from0" | "from1";
  /** Is called with what is unusual about the weights. Default: a warning of the process. */
  warn?: (message: string) => void;
  /**
   * `auto` (the default) is what the weights were trained in, or what fits the hardware; `true` means `auto`, `false`
   * means `32-true`.
   */
  precision?: Precision | "auto" | boolean;
  /**
   * Number format that the linear layers are computed in, as hardware with such units would: emulated to the bit, and
   * slow. Null for none. Default: that of the training of the weights.
   */
  numberFormat?: NumberFormatName | null;
  /** `auto`, `cpu` or `cuda:N`. */
  device?: string;
  /** Names of the classes by index, for an exported file of another program, which has none. For `RFDETR.load` only. */
  classNames?: readonly string[];
}

/** What the options of `create` accept. */
export const detectorOptions: OptionKinds<DetectorOptions> = {
  weights: text,
  classNumbering: oneOf("auto", "from0", "from1"),
  warn: callback,
  precision: oneOf(...precisionNames, true, false),
  numberFormat: orNull(oneOf(...numberFormatNames)),
  device: text,
  classNames: differentTexts,
};
