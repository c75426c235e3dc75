// Draws masks, boxes and labels into pictures.

import { statSync } from "node:fs";
import { PictureError } from "../../support/errors.js";
import { checkArgument, checkOptions, classTexts, flag, type OptionKinds, positive } from "../../support/options.js";
import { detectionList } from "../detection-list.js";
import {
  asSharp,
  decode,
  encode,
  type ImageSource,
  type OutputFlags,
  outputOptions,
  type RawImage,
} from "../picture.js";
import { type BoxOptions, boxOverlay, type LabelledBox } from "./box-overlay.js";
import { paintMasks } from "./mask-layer.js";

export type { ImageSource, RawImage } from "../picture.js";
export type { LabelledBox } from "./box-overlay.js";

/** How detections are drawn. */
export interface DrawOptions extends BoxOptions, OutputFlags {
  /** Whether boxes refer to the image turned upright by its EXIF tag; default true. False: to the pixels as stored. */
  autoOrient?: boolean;
}

const drawOptions: OptionKinds<DrawOptions> = {
  labels: flag,
  lineWidth: positive,
  fontSize: positive,
  classNames: classTexts,
  autoOrient: flag,
  ...outputOptions,
};

/**
 * Draws boxes with class names and scores into an image, and the masks of detections that have them: half transparent,
 * below all boxes. Better detections are drawn above worse ones, labels above boxes. Labels stay inside the image, and
 * hide each other as little as possible. Each class has a colour. Lines have an edge and labels a filled background, so
 * that both stand out on any picture. Plain Latin letters need no fonts on the machine, others are drawn with its
 * fonts; a name in letters that none has is drawn as `class N`: see `fontWarning` of `rfdetr/predict`.
 *
 * @returns the encoded picture, which is also written to `out` if that is given
 * @throws PictureError if the image cannot be read, if the file cannot be written, or if it is the image itself
 * @throws UsageError for a wrong option
 * @example
 * import { drawDetections, RFDETR } from "rfdetr";
 * const detector = await RFDETR.create("nano", { weights: "best.safetensors" });
 * const detections = await detector.predict("bird.jpg");
 * await drawDetections("bird.jpg", detections, { classNames: detector.classNames ?? [], out: "drawn.png" });
 */
export async function drawDetections(
  image: ImageSource,
  detections: readonly LabelledBox[],
  options: DrawOptions = {},
): Promise<Buffer> {
  checkOptions("drawDetections", options, drawOptions);
  checkArgument("detections", detections, detectionList);
  if (typeof image === "string" && options.out !== undefined && sameFile(image, options.out))
    throw new PictureError(
      "ERR_PICTURE_OUTPUT",
      `Expected another file than the image for out but received ${options.out}, which would be lost`,
    );
  const drawn = await draw(image, detections, options);
  return encode(asSharp(drawn), options);
}

/** Whether two paths lead to one file, through links as well. */
function sameFile(a: string, b: string): boolean {
  const [one, other] = [a, b].map((path) => statSync(path, { throwIfNoEntry: false }));
  return one !== undefined && one.ino === other?.ino && one.dev === other.dev;
}

/** As {@link drawDetections}, but returns the decoded picture. @internal for tests */
export async function draw(
  image: ImageSource,
  detections: readonly LabelledBox[],
  options: DrawOptions = {},
): Promise<RawImage> {
  const { original, ...picture } = await decode(image, options.autoOrient);
  const factors = [picture.width / original.width, picture.height / original.height];
  const scaled = detections.map((found) => ({ ...found, box: found.box.map((c, i) => c * factors[i % 2]) }));
  const overlay = await boxOverlay(picture.width, picture.height, scaled, options);
  if (overlay === undefined) return picture;
  const data = await asSharp(paintMasks(picture, scaled, options))
    .composite([{ input: Buffer.from(overlay) }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return { ...picture, data };
}
