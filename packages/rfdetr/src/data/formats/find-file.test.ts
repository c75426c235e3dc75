import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { openDataset } from "../open-dataset.js";

describe("names of files in annotations", () => {
  it.each([
    ["with a dot in front", "./a.jpg", "a.jpg", 0],
    ["with Windows separators", "sub\\a.jpg", "sub/a.jpg", 1],
    ["with escapes", "a%20b.jpg", "a b.jpg", 1],
    ["of another machine", "C:\\data\\train\\a.jpg", "a.jpg", 1],
    ["absolute", "/home/else/train/a.jpg", "a.jpg", 1],
    ["with a folder in front", "images/a.jpg", "a.jpg", 1],
    ["with a space behind", "a.jpg ", "a.jpg", 1],
    ["in capitals", "A.JPG", "a.jpg", 1],
    ["without an ending", "a", "a.jpg", 1],
    ["with another composition of accents", "caf\u00e9.jpg", "cafe\u0301.jpg", 1],
  ])("%s", (_, name, file, warnings) => {
    put("train/_annotations.coco.json", coco([name]));
    put(`train/${file}`, picture);
    const dataset = openDataset(folder, "train");
    expect([dataset.images[0].file, dataset.warnings.length]).toEqual([join(folder, "train", file), warnings]);
  });

  it("that mean no file name what is near", () => {
    put("train/_annotations.coco.json", coco(["a.jpg", "b.png"]));
    put("train/b.jpg", picture);
    put("train/a1.jpg", picture);
    expect(() => openDataset(folder, "train")).toThrow(
      /a\.jpg is missing: there is no such file, but .*a1\.jpg is there/,
    );
  });

  it("are not guessed where two images may mean one file", () => {
    put("train/_annotations.coco.json", coco(["x/a.jpg", "y/a.jpg"]));
    put("train/a.jpg", picture);
    expect(() => openDataset(folder, "train")).toThrow("several images may mean it");
  });
});

describe("an image that is missing from its split", () => {
  it("is not taken from another split that has a file of the same name", () => {
    put("train/_annotations.coco.json", coco(["0001.jpg", "0002.jpg"]));
    put("train/0002.jpg", picture);
    put("valid/_annotations.coco.json", coco(["0001.jpg"]));
    put("valid/0001.jpg", picture);
    expect(() => openDataset(folder, "train")).toThrow(/0001\.jpg .*no such file/);
    put("annotations/instances_train2017.json", coco(["a.jpg"]));
    rmSync(join(folder, "train"), { recursive: true });
    put("val2017/a.jpg", picture);
    expect(() => openDataset(folder, "train")).toThrow(/a\.jpg .*no such file/);
  });

  it("is not taken from another split for a list of images either", () => {
    put("data.yaml", "train: train.txt\nval: images/val\nnames: [cat]\n");
    put("train.txt", "./images/train/a.jpg\n./images/train/b.jpg\n");
    put("images/train/b.jpg", picture);
    put("images/val/a.jpg", picture);
    put("labels/train/b.txt", "0 0.5 0.5 0.5 0.5\n");
    expect(() => openDataset(folder, "train")).toThrow(/a\.jpg .*no such file/);
  });
});
