// The labels of a YOLO image as COCO annotations, in pixels.
import { frameOf } from "../formats/listing.js";
import { labelFields } from "../write/unchanged.js";
import type { WrittenBox } from "../write/written.js";
import type { ConvertImage } from "./losses.js";

export const toCoco: ConvertImage = (image, losses) => {
  const boxes = image.boxes.flatMap((own): WrittenBox[] => {
    const { label, box, entry, stated, polygon } = own;
    if (label < 0) {
      losses.add("labels are left out: their class is not in the train split");
      return [];
    }
    // Of a dataset with splits of both layouts.
    if (entry !== null) return [{ label, box, entry }];
    if (!polygon && stated.split(/\s+/).length > 5) losses.add("labels have key points, which are left out");
    return [{ label, box, entry: labelFields(own) }];
  });
  return { ...frameOf(image), boxes };
};
