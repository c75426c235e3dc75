// What can be wrong with labels of YOLO.
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder, type Kind, yolo } from "../checked-dataset.js";
import { writePicture } from "../dataset-files.js";

export const yoloFaults: Kind[] = [
  ["nothing wrong", () => {}, []],
  ["a line with a word", () => yolo("a", "cat 0.3 0.25 0.3 0.3"), ["train malformed labels: refused"]],
  ["too few numbers", () => yolo("a", "0 0.3 0.25 0.3"), ["train malformed labels: refused"]],
  ["a confidence", () => yolo("a", "0 0.3 0.25 0.3 0.3 0.9"), ["train malformed labels: refused"]],
  ["a class that has no name", () => yolo("a", "5 0.3 0.25 0.3 0.3"), ["train unknown categories: refused"]],
  ["pixels", () => yolo("a", "0 12 7 12 9"), ["train labels that are no fractions: refused"]],
  ["percent", () => yolo("a", "0 50 50 20 20"), ["train labels that are no fractions: refused"]],
  ["a box wider than the image", () => yolo("a", "0 0.5 0.5 1.3 0.2"), ["train boxes outside the image: repaired"]],
  ["a box of no size", () => yolo("a", "0 0.5 0.5 0 0.2"), ["train empty boxes: repaired"]],
  ["a negative size", () => yolo("a", "0 0.5 0.5 -0.3 -0.2"), ["train empty boxes: repaired"]],
  [
    "no labels folder",
    () => rmSync(join(folder, "train/labels"), { recursive: true }),
    ["train images without annotations: kept ×2", "train no annotations: refused"],
    false,
  ],
  [
    "a folder called like a label file",
    () => {
      rmSync(join(folder, "train/labels/a.txt"));
      mkdirSync(join(folder, "train/labels/a.txt"));
    },
    ["train malformed labels: refused"],
  ],
  [
    "a link that leads nowhere for the folder of labels",
    () => {
      rmSync(join(folder, "valid/labels"), { recursive: true });
      symlinkSync("/nowhere/labels", join(folder, "valid/labels"));
    },
    ["valid malformed labels: refused ×2", "valid no annotations: kept"],
    false,
  ],
  ["a label without its image", () => yolo("z", "0 0.5 0.5 0.2 0.2"), ["train labels without an image: kept"]],
  [
    "labels beside an image that has others",
    () => {
      writeFileSync(join(folder, "train/images/a.txt"), "0 0.5 0.5 0.1 0.1\n");
    },
    ["train labels without an image: kept"],
  ],
  [
    "a list with an image in a folder that is not there, which has labels",
    () => {
      writeFileSync(join(folder, "list.txt"), "train/images/a.jpg\ngone/images/a.jpg\n");
      mkdirSync(join(folder, "gone/labels"), { recursive: true });
      writeFileSync(join(folder, "gone/labels/a.txt"), "0 0.5 0.5 0.1 0.1\n");
      writeFileSync(join(folder, "data.yaml"), "train: list.txt\nval: valid/images\nnames: [cat, dog]\n");
    },
    ["train missing files: refused", "train labels without an image: kept"],
  ],
  [
    "an image without labels",
    () => rmSync(join(folder, "train/labels/a.txt")),
    ["train images without annotations: kept"],
  ],
  [
    "two classes of one name",
    () => writeFileSync(join(folder, "data.yaml"), "names: [cat, cat]\n"),
    ["train classes of one name: refused"],
  ],
  [
    "another number of classes",
    () => writeFileSync(join(folder, "data.yaml"), "nc: 3\nnames: [cat, dog]\n"),
    ["train contradictions: kept"],
  ],
  [
    "labels that count classes from 1",
    () => {
      yolo("a", "1 0.3 0.25 0.3 0.3");
      yolo("b", "2 0.3 0.25 0.3 0.3");
    },
    ["train classes numbered from 1: refused", "train unknown categories: refused"],
    false,
  ],
  [
    "a class without a name",
    () => yolo("a", ...Array(3).fill("5 0.3 0.25 0.3 0.3")),
    ["train unknown categories: refused ×3"],
    false,
  ],
  [
    "a path that is not there",
    () => writeFileSync(join(folder, "data.yaml"), "path: /nowhere/birds\nnames: [cat, dog]\n"),
    ["train contradictions: kept"],
  ],
  [
    "names numbered from 1",
    () => writeFileSync(join(folder, "data.yaml"), "names: {1: cat, 2: dog}\n"),
    ["train broken annotations: refused", "valid broken annotations: refused"],
    false,
  ],
  [
    "no valid split",
    () => rmSync(join(folder, "valid"), { recursive: true }),
    ["valid broken annotations: refused"],
    false,
  ],
  [
    "two images with one label file",
    () => writePicture(join(folder, "train/images/a.png"), "#00ff00"),
    ["train labels of two images: kept"],
  ],
  ["a folder called like a picture", () => mkdirSync(join(folder, "train/images/x.jpg")), []],
  ["twins of macOS", () => writeFileSync(join(folder, "train/images/._a.jpg"), "no picture"), []],
  [
    "HEIC files",
    () => writeFileSync(join(folder, "train/images/c.heic"), "no picture"),
    ["train images of other kinds: kept"],
  ],
];
