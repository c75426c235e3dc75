// Cuts detected objects out of pictures.

import { checkArgument, checkOptions, flag, type OptionKinds, oneOf, zeroOrMore } from "../../support/options.js";
import { detectionList } from "../detection-list.js";
import { asSharp, decode, encode, type ImageSource } from "../picture.js";
import type { LabelledBox } from "./box-overlay.js";

/** How objects are cut out. */
export interface CropOptions {
  /** Whether boxes refer to the image turned upright by its EXIF tag; default true. False: to the pixels as stored. */
  autoOrient?: boolean;
  /** Default `jpeg`. */
  format?: "png" | "jpeg" | "webp";
  /** Pixels around each box that are kept as well; default 0. */
  margin?: number;
}

const cropOptions: OptionKinds<CropOptions> = {
  autoOrient: flag,
  format: oneOf("png", "jpeg", "webp"),
  margin: zeroOrMore,
};

/**
 * Cuts detected objects out of an image. Boxes are widened to whole pixels, and end at the edges of the image.
 * @param detections with boxes in pixels of the image
 * @returns an encoded picture for each detection, in their order
 * @throws PictureError if the image cannot be read
 * @throws UsageError for a wrong option
 * @example
 * import { writeFileSync } from "node:fs";
 * import { cropDetections } from "rfdetr";
 * const [best] = await cropDetections("bird.jpg", await detector.predict("bird.jpg", { maxDetections: 1 }));
 * writeFileSync("best.jpg", best);
 */
export async function cropDetections(
  image: ImageSource,
  detections: readonly Pick<LabelledBox, "box">[],
  options: CropOptions = {},
): Promise<Buffer[]> {
  checkOptions("cropDetections", options, cropOptions);
  checkArgument("detections", detections, detectionList);
  const { autoOrient = true, format = "jpeg", margin = 0 } = options;
  if (detections.length === 0) return [];
  const { original, ...picture } = await decode(image, autoOrient);
  const crops: Buffer[] = [];
  for (const { box } of detections) {
    const [left, width] = span(box[0] - margin, box[2] + margin, picture.width, original.width);
    const [top, height] = span(box[1] - margin, box[3] + margin, picture.height, original.height);
    crops.push(await encode(asSharp(picture).extract({ left, top, width, height }), { format }));
  }
  return crops;
}

/** The first of the decoded pixels that a side of a box covers, and how many: at least one. */
function span(from: number, to: number, decoded: number, original: number): [first: number, count: number] {
  const scale = decoded / original;
  const first = Math.min(decoded - 1, Math.max(0, Math.floor(from * scale)));
  const end = Math.max(first + 1, Math.min(decoded, Math.ceil(to * scale)));
  return [first, end - first];
}
