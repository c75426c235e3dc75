// What can be wrong with outlines of objects.
import { column, first, type Kind, segment, train } from "../checked-dataset.js";

export const outlineFaults: Kind[] = [
  ["nothing wrong", () => {}, []],
  ["a mask as numbers", () => segment(column(30, 40)), []],
  ["a polygon that is a text", () => segment(["1,2,3"]), ["train malformed outlines: refused"]],
  ["a polygon of odd numbers", () => segment([[6, 3, 18, 3, 18, 12, 5]]), ["train malformed outlines: refused"]],
  [
    "a polygon with a hole in its numbers",
    () => segment([[6, 3, null, 3, 18, 12]]),
    ["train malformed outlines: refused"],
  ],
  [
    "runs that do not fill their image",
    () => segment({ size: [30, 40], counts: [9, 9] }),
    ["train malformed outlines: refused"],
  ],
  ["a mask of another shape", () => segment(column(40, 30)), ["train malformed outlines: refused"]],
  [
    "an image of more pixels than masks have",
    () => train((c) => Object.assign(c.images[1], { width: 80000, height: 60000 })),
    ["train wrong image sizes: repaired", "train malformed outlines: refused"],
  ],
  ["a mask of another scale", () => segment(column(60, 80)), ["train masks of another scale: repaired"]],
  ["no outline", () => segment(undefined), ["train objects without outlines: repaired"]],
  ["an empty list", () => segment([]), ["train objects without outlines: repaired"]],
  ["a line", () => segment([[6, 3, 18, 12]]), ["train objects without outlines: repaired"]],
  ["points on a line", () => segment([[6, 3, 9, 6, 12, 9]]), ["train objects without outlines: repaired"]],
  [
    "a triangle of a tenth of a pixel",
    () => segment([[6.1, 3.1, 6.2, 3.1, 6.2, 3.2]]),
    ["train objects without outlines: repaired"],
  ],
  [
    "a triangle of a tenth of a pixel in its box",
    () => {
      segment([[6.1, 3.1, 6.2, 3.1, 6.2, 3.2]]);
      train((c) => Object.assign(first(c), { bbox: [6.1, 3.1, 0.1, 0.1] }));
    },
    ["train objects without outlines: repaired"],
  ],
  [
    "a polygon outside of its image",
    () => segment([[100, 100, 120, 100, 120, 120]]),
    ["train objects without outlines: repaired", "train outlines outside their boxes: kept"],
  ],
  [
    "a polygon that goes around twice",
    () => segment([[6, 3, 18, 3, 18, 12, 6, 3, 18, 3, 18, 12]]),
    ["train objects without outlines: repaired"],
  ],
  ["an empty mask", () => segment({ size: [30, 40], counts: [1200] }), ["train objects without outlines: repaired"]],
  [
    "boxes only",
    () => train((c) => c.annotations.forEach((annotation) => Reflect.deleteProperty(annotation, "segmentation"))),
    ["train no outlines: refused"],
    false,
  ],
  [
    "an outline of another object",
    () => segment([[25, 3, 35, 3, 35, 12]]),
    ["train outlines outside their boxes: kept"],
  ],
];
