// Names of COCO's 80 classes by category id. The ids run from 1 to 90 with gaps.
const names =
  "person bicycle car motorcycle airplane bus train truck boat,traffic light,fire hydrant,,stop sign,parking meter,bench bird cat dog horse sheep cow elephant bear zebra giraffe,,backpack umbrella,,,handbag tie suitcase frisbee skis snowboard,sports ball,kite,baseball bat,baseball glove,skateboard surfboard,tennis racket,bottle,,wine glass,cup fork knife spoon bowl banana apple sandwich orange broccoli carrot,hot dog,pizza donut cake chair couch,potted plant,bed,,dining table,,,toilet,,tv laptop mouse remote keyboard,cell phone,microwave oven toaster sink refrigerator,,book clock vase scissors,teddy bear,hair drier,toothbrush";

const twoWords = new Set([
  "traffic light",
  "fire hydrant",
  "stop sign",
  "parking meter",
  "sports ball",
  "baseball bat",
  "baseball glove",
  "tennis racket",
  "wine glass",
  "hot dog",
  "potted plant",
  "dining table",
  "cell phone",
  "teddy bear",
  "hair drier",
]);

/**
 * Names of COCO's classes (Lin et al. 2014, arXiv:1405.0312) by category id: 91 entries. Index 0, and the ids that COCO
 * does not use, hold `unused`. The published COCO models predict such ids as labels.
 */
export const cocoClasses: readonly string[] = [
  "unused",
  ...names.split(",").flatMap((part) => (part === "" ? ["unused"] : twoWords.has(part) ? [part] : part.split(" "))),
].slice(0, 90 + 1);
