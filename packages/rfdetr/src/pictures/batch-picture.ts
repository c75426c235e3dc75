// A training batch as the model saw it.
import { basename } from "node:path";
import type { Target } from "../data/target.js";
import type { LabelledBox } from "./drawing/box-overlay.js";
import { sheet } from "./sheet.js";

/** The images of a micro-batch after augmentation, at the size of the step. */
export interface SeenBatch {
  /** `[B, height, width, 3]` RGB bytes. */
  images: Uint8Array;
  height: number;
  width: number;
  targets: readonly Target[];
  /** Paths of the images. */
  files?: readonly string[];
}

/** Images of a batch that are drawn. */
const most = 16;

/** Draws a training batch with its boxes, as JPEG. Images are enlarged or made smaller, and not changed otherwise. */
export async function batchPicture(batch: SeenBatch, classNames: readonly string[]): Promise<Buffer> {
  const { images, height, width, targets, files } = batch;
  const shown = targets.slice(0, most);
  const columns = Math.min(4, Math.ceil(Math.sqrt(shown.length)));
  const tiles = shown.map((target, i) => ({
    image: {
      data: images.subarray(i * height * width * 3, (i + 1) * height * width * 3),
      width,
      height,
      channels: 3 as const,
    },
    boxes: targetBoxes(target, width, height, classNames),
    caption: files === undefined ? `image ${target.imageId}` : basename(files[i]),
  }));
  return sheet(tiles, { side: columns > 2 ? 320 : 480, columns, classNames });
}

/** The boxes of a target in pixels. */
function targetBoxes(target: Target, width: number, height: number, classNames: readonly string[]): LabelledBox[] {
  return Array.from(target.labels, (classId, i) => {
    const [x, y, w, h] = target.boxes.subarray(i * 4, i * 4 + 4);
    const box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height];
    const mask = target.masks === undefined ? {} : { mask: target.masks[i] };
    return { box, classId, className: classNames[classId], ...mask };
  });
}
