// The folders and files that datasets come in, as the Python package reads them (`rfdetr.datasets.coco`,
// `rfdetr.datasets.yolo`).

import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { hasSplit, openDataset } from "../open-dataset.js";
import { classCategories } from "./class-categories.js";
import type { CocoCategory } from "./coco-types.js";

const root = mkdtempSync(join(tmpdir(), "layouts-"));
afterAll(() => rmSync(root, { recursive: true }));
let picture: Buffer;
beforeAll(async () => {
  picture = await sharp({ create: { width: 40, height: 20, channels: 3, background: "#808080" } })
    .jpeg()
    .toBuffer();
});
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(root, "set-"));
});

function put(path: string, content: string | Buffer | object): void {
  const full = join(folder, path);
  mkdirSync(dirname(full), { recursive: true });
  writeFileSync(full, typeof content === "string" || Buffer.isBuffer(content) ? content : JSON.stringify(content));
}

const coco = (names: string[], extra: object[] = []) => ({
  images: names.map((file_name, i) => ({ id: i + 1, file_name, width: 40, height: 20 })),
  categories: [
    { id: 18, name: "dog", supercategory: "animal" },
    { id: 1, name: "person", supercategory: "person" },
  ],
  annotations: [{ id: 1, image_id: 1, category_id: 18, bbox: [4, 2, 10, 10], area: 100, iscrowd: 0 }, ...extra],
});

describe("COCO's own folders", () => {
  it.each([
    ["instances_train2017.json", "train2017", "instances_val2017.json", "val2017"],
    ["instances_train.json", "train", "instances_val.json", "val"],
    ["train.json", "images", "val.json", "images"],
  ])("annotations/%s with the images in %s", (train, trainImages, valid, validImages) => {
    put(`annotations/${train}`, coco(["a.jpg", "b.jpg"]));
    put(`annotations/${valid}`, coco(["a.jpg"]));
    for (const images of [trainImages, validImages])
      for (const name of ["a.jpg", "b.jpg"]) put(`${images}/${name}`, picture);
    const { images, classNames, categoryIds, layout } = openDataset(folder, "train");
    expect([layout, classNames, categoryIds]).toEqual(["coco", ["person", "dog"], [1, 18]]);
    expect(images.map(({ file }) => file)).toEqual(["a.jpg", "b.jpg"].map((name) => join(folder, trainImages, name)));
    expect([[...images[0].labels], [...images[1].labels]]).toEqual([[1], []]);
    expect(openDataset(folder, "valid").images[0].file).toBe(join(folder, validImages, "a.jpg"));
    expect(hasSplit(folder, "test")).toBe(false);
  });

  it("names of files may lead into folders", () => {
    put("annotations/train.json", coco(["deep/er/a.jpg"]));
    put("train/deep/er/a.jpg", picture);
    expect(openDataset(folder, "train").images[0].file).toBe(join(folder, "train/deep/er/a.jpg"));
  });
});

describe("Roboflow's COCO folders", () => {
  it.each(["valid", "val"])("have train and %s", (valid) => {
    put("train/a.jpg", picture);
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    put(`${valid}/a.jpg`, picture);
    put(`${valid}/_annotations.coco.json`, coco(["a.jpg"]));
    expect(openDataset(folder, "valid").layout).toBe("roboflow-coco");
    expect(openDataset(folder, "valid").images[0].file).toBe(join(folder, valid, "a.jpg"));
  });

  it("take the classes of the other splits from the training split", () => {
    put("train/a.jpg", picture);
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    const other = coco(["a.jpg"]);
    put("valid/a.jpg", picture);
    put("valid/_annotations.coco.json", { ...other, categories: [{ id: 18, name: "dog" }] });
    const valid = openDataset(folder, "valid");
    expect([valid.classNames, [...valid.images[0].labels]]).toEqual([["person", "dog"], [1]]);
  });

  it("keep crowd regions aside, and images without anything on them", () => {
    const crowd = { id: 2, image_id: 1, category_id: 1, bbox: [0, 0, 40, 20], iscrowd: 1 };
    put("train/a.jpg", picture);
    put("train/empty.jpg", picture);
    put("train/_annotations.coco.json", coco(["a.jpg", "empty.jpg"], [crowd]));
    const [first, second] = openDataset(folder, "train").images;
    expect([first.labels.length, first.crowd.labels.length, second.labels.length]).toEqual([1, 1, 0]);
  });
});

describe("categories that are classes", () => {
  const names = (categories: CocoCategory[], used: number[] = []): string[] =>
    classCategories(
      categories.map(({ id, name, supercategory = null }) => ({ id, name, supercategory })),
      new Set(used),
    ).map(({ name }) => name);

  it("are not those that only group others", () => {
    const exported = [
      { id: 0, name: "animals", supercategory: "none" },
      { id: 2, name: "cat", supercategory: "animals" },
      { id: 1, name: "dog", supercategory: "animals" },
    ];
    expect(names(exported)).toEqual(["dog", "cat"]);
    expect(names(exported, [0])).toEqual(["animals", "dog", "cat"]);
  });

  it("may be their own supercategory, or have none", () => {
    expect(names([{ id: 1, name: "person", supercategory: "person" }])).toEqual(["person"]);
    expect(
      names([
        { id: 1, name: "a", supercategory: "none" },
        { id: 2, name: "b", supercategory: "none" },
      ]),
    ).toEqual(["a", "b"]);
    expect(
      names([
        { id: 1, name: "a" },
        { id: 2, name: "none" },
      ]),
    ).toEqual(["a", "none"]);
  });

  it("are never none at all", () => {
    expect(
      names([
        { id: 1, name: "a", supercategory: "b" },
        { id: 2, name: "b", supercategory: "a" },
      ]),
    ).toEqual(["a", "b"]);
  });
});

describe("YOLO folders", () => {
  const box = "0 0.5 0.5 0.5 0.5\n";
  const split = (images: string, labels: string): void => {
    put(`${images}/a.jpg`, picture);
    put(`${labels}/a.txt`, box);
  };
  const counts = (): number[] =>
    (["train", "valid"] as const).map((name) => openDataset(folder, name).images[0].labels.length);

  it("of Roboflow: paths that lead out of the folder mean those in it", () => {
    put("data.yaml", "train: ../train/images\nval: ../valid/images\nnc: 1\nnames: ['cat']\n");
    split("train/images", "train/labels");
    split("valid/images", "valid/labels");
    expect(counts()).toEqual([1, 1]);
  });

  it("of Roboflow without paths, with val or valid, and data.yml", () => {
    put("data.yml", "names: [cat]\n");
    split("train/images", "train/labels");
    split("val/images", "val/labels");
    expect(counts()).toEqual([1, 1]);
  });

  it("of Ultralytics: a path of its own, which may be that of another machine", () => {
    put("data.yaml", "path: /nowhere/coco8\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n");
    split("images/train", "labels/train");
    split("images/val", "labels/val");
    expect(counts()).toEqual([1, 1]);
    put("data.yaml", "path: sub\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n");
    split("sub/images/train", "sub/labels/train");
    expect(openDataset(folder, "train").images[0].file).toBe(join(folder, "sub/images/train/a.jpg"));
    expect(openDataset(folder, "valid").images[0].file).toBe(join(folder, "images/val/a.jpg"));
  });

  it("whose split holds images and labels, and a split of several folders", () => {
    put("data.yaml", "train: [one, two]\nvalid: one\nnames: [cat]\n");
    split("one/images", "one/labels");
    split("two/images", "two/labels");
    expect(openDataset(folder, "train").images.length).toBe(2);
    expect(counts()).toEqual([1, 1]);
  });

  it("inside another folder that is called images", () => {
    folder = join(folder, "images", "set");
    put("data.yaml", "train: train\nval: train\nnames: [cat]\n");
    split("train/images", "train/labels");
    expect(counts()).toEqual([1, 1]);
  });

  it("may have images without labels, or with an empty file of them", () => {
    put("data.yaml", "names: [cat]\n");
    split("train/images", "train/labels");
    put("train/images/b.jpg", picture);
    put("train/images/c.JPG", picture);
    put("train/labels/c.txt", "\n");
    expect(openDataset(folder, "train").images.map(({ labels }) => labels.length)).toEqual([1, 0, 0]);
  });

  it("give polygons as the boxes around them, clipped to the image", () => {
    put("data.yaml", "names: [cat, dog]\n");
    put("train/images/a.jpg", picture);
    put("train/labels/a.txt", "1 0.1 0.2 0.5 0.1 0.4 0.9\n0 -0.1 0.5 0.5 0.5 0.5 1.2 0.2 1\n");
    const [{ boxes, labels }] = openDataset(folder, "train").images;
    expect([...labels]).toEqual([1, 0]);
    [4, 2, 20, 18, 0, 10, 20, 20].forEach((corner, i) => expect(boxes[i]).toBeCloseTo(corner, 4));
  });

  it.each([
    ["train: nowhere\nnames: [cat]\n", 'names "nowhere" for the train images, but there is no such folder or list'],
    ["train: list.txt\nnames: [cat]\n", "b.jpg is missing"],
    ["names:\n  0: cat\n  2: dog\n", 'Expected class numbers 0 to 1 in "names"'],
    ["nc: 3\n", 'Expected a list or mapping "names"'],
    ["names: []\n", "Expected at least one class"],
    ["names: [cat, '']\n", "Expected a name for class 1"],
    ["names: [cat\n", "Expected YAML in"],
    ["", "received an empty file"],
  ])("name what is wrong with %j", (yaml, message) => {
    if (!yaml.startsWith("train")) split("train/images", "train/labels");
    put("list.txt", "b.jpg\n");
    put("data.yaml", yaml);
    expect(() => openDataset(folder, "train")).toThrow(message);
  });

  it.each([
    ["a YAML file of another name", "coco8.yaml", "train: train/images\nval: valid/images\nnames: [cat]\n"],
    ["Windows separators", "data.yaml", "train: train\\\\images\nval: valid\\\\images\nnames: [cat]\n"],
    ["lists of images", "data.yaml", "train: train.txt\nval: val.txt\nnames: [cat]\n"],
    ["an empty key", "data.yaml", "train: train/images\nval: valid/images\ntest:\nnames: [cat]\n"],
    ["a byte order mark", "data.yaml", "\ufefftrain: train/images\nval: valid/images\nnames: [cat]\n"],
    ["classes.txt alone", "classes.txt", "cat\n"],
  ])("with %s", (_, name, yaml) => {
    split("train/images", "train/labels");
    split("valid/images", "valid/labels");
    put("train.txt", "./train/images/a.jpg\n");
    put("val.txt", "valid/images/a.jpg\r\n");
    put(name, yaml.replaceAll("\\\\", "\\"));
    expect(counts()).toEqual([1, 1]);
    expect(hasSplit(folder, "test")).toBe(false);
  });

  it("may be given by a YAML file that stands elsewhere", () => {
    split("train/images", "train/labels");
    split("valid/images", "valid/labels");
    put("cfg/birds.yaml", "path: ..\ntrain: train/images\nval: valid/images\nnames: [cat]\n");
    expect(openDataset(join(folder, "cfg/birds.yaml"), "train").images.length).toBe(1);
    put("cfg/notes.yaml", "a: 1\n");
    expect(() => openDataset(join(folder, "cfg/notes.yaml"), "train")).toThrow(/notes\.yaml/);
  });

  it("may have images in sub-folders, with their labels in the same ones, or beside them", () => {
    put("data.yaml", "names: [cat]\n");
    split("train/images/x", "train/labels/x");
    split("train/images/y", "train/labels/y");
    split("valid/images", "valid/images");
    expect(openDataset(folder, "train").images.map(({ labels }) => labels.length)).toEqual([1, 1]);
    expect(openDataset(folder, "valid").images.map(({ labels }) => labels.length)).toEqual([1]);
  });

  it("may have key points behind the boxes", () => {
    put("data.yaml", "kpt_shape: [2, 3]\nnames: [cat]\n");
    put("train/images/a.jpg", picture);
    put("train/labels/a.txt", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.9 0.9 2\n");
    expect([...openDataset(folder, "train").images[0].boxes]).toEqual([10, 5, 30, 15]);
  });

  it("whose images differ only in case have their own labels each", () => {
    put("data.yaml", "names: [cat, dog]\n");
    for (const [name, line] of [
      ["A", box],
      ["a", "1 0.5 0.5 0.5 0.5\n"],
    ]) {
      put(`train/images/${name}.jpg`, picture);
      put(`train/labels/${name}.txt`, line);
    }
    expect(openDataset(folder, "train").images.map(({ labels }) => [...labels])).toEqual([[0], [1]]);
    put("train/images/B.jpg", picture);
    put("train/images/b.jpg", picture);
    put("train/labels/b.txt", box);
    expect(openDataset(folder, "train").images.map(({ labels }) => labels.length)).toEqual([1, 0, 1, 1]);
  });

  it("with links in a circle have every picture once", () => {
    put("data.yaml", "names: [cat]\n");
    split("train/images", "train/labels");
    symlinkSync(".", join(folder, "train/images/self"));
    symlinkSync("..", join(folder, "train/images/up"));
    expect(openDataset(folder, "train").images.map(({ labels }) => labels.length)).toEqual([1]);
  });

  it("take no labels from outside of the dataset", () => {
    folder = join(folder, "images", "set");
    put("data.yaml", "names: [cat]\n");
    split("train/images", "train/labels");
    put("valid/images/a.jpg", picture);
    put("../../labels/set/valid/images/a.txt", box);
    expect(openDataset(folder, "valid").images[0].labels.length).toBe(0);
  });

  it("find a label file whose name composes an accent in another way", () => {
    put("data.yaml", "names: [cat]\n");
    put("train/images/cafe\u0301.jpg", picture);
    put("train/labels/caf\u00e9.txt", box);
    const { images, warnings } = openDataset(folder, "train");
    expect([images[0].labels.length, warnings.length]).toEqual([1, 1]);
  });
});

describe("COCO folders as other tools write them", () => {
  it.each([
    [
      "COCO with its images in images/train2017",
      "annotations/instances_train2017.json",
      "images/train2017",
      "annotations/instances_val2017.json",
      "images/val2017",
    ],
    ["CVAT", "annotations/instances_train.json", "images/train", "annotations/instances_val.json", "images/val"],
    ["FiftyOne", "train/labels.json", "train/data", "valid/labels.json", "valid/data"],
    ["one JSON for each split at the top", "train.json", "train", "val.json", "val"],
    [
      "images in a folder of their own",
      "train/_annotations.coco.json",
      "train/images",
      "valid/_annotations.coco.json",
      "valid/images",
    ],
    ["capital letters", "TRAIN/_annotations.coco.json", "TRAIN", "Valid/_annotations.coco.json", "Valid"],
    ["annotations.json", "train/annotations.json", "train", "validation/annotations.json", "validation"],
    ["any one JSON", "train/birds.json", "train", "val/owls.json", "val"],
  ])("%s", (_, train, trainImages, valid, validImages) => {
    put(train, coco(["a.jpg"]));
    put(valid, coco(["a.jpg"]));
    put(`${trainImages}/a.jpg`, picture);
    put(`${validImages}/a.jpg`, picture);
    for (const [split, images] of [
      ["train", trainImages],
      ["valid", validImages],
    ] as const)
      expect(openDataset(folder, split).images[0].file).toBe(join(folder, images, "a.jpg"));
  });

  it.each([
    ["CVAT", "annotations/instances_default.json", "images/default/a.jpg"],
    ["Label Studio", "result.json", "images/a.jpg"],
  ])("%s without splits: the error says how to make them", (_, json, image) => {
    put(json, coco(["a.jpg"]));
    put(image, picture);
    expect(() => openDataset(folder, "train")).toThrow(/has no splits, only .*: rfdetr data split makes them/);
  });

  it("a split that is missing is named with the way to make it, and a dataset nearby", () => {
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    put("train/a.jpg", picture);
    expect(() => openDataset(folder, "valid")).toThrow(
      /has no valid split, only train: rfdetr data split takes a share of train/,
    );
    put("photos/b.jpg", picture);
    expect(() => openDataset(join(folder, "photos"), "train")).toThrow(`${folder} is one`);
    expect(() => openDataset(join(folder, "train/_annotations.coco.json"), "train")).toThrow("give the folder");
  });
});

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

describe("classes", () => {
  const write = (split: string, categories: object[], category: number | string): void => {
    const annotation = { id: 1, image_id: 1, category_id: category, bbox: [4, 2, 10, 10] };
    put(`${split}/_annotations.coco.json`, { ...coco(["a.jpg"]), categories, annotations: [annotation] });
    put(`${split}/a.jpg`, picture);
  };
  const labelOf = (split: "train" | "valid"): string => {
    const { classNames, images } = openDataset(folder, split);
    return `${classNames[images[0].labels[0]]} of ${classNames.join(", ")}`;
  };

  it("leave out a group that has the name of its only class", () => {
    const categories = [
      { id: 0, name: "fish", supercategory: "none" },
      { id: 1, name: "fish", supercategory: "fish" },
    ];
    write("train", categories, 1);
    expect([labelOf("train"), openDataset(folder, "train").categoryIds]).toEqual(["fish of fish", [1]]);
  });

  it("are joined by name where splits number them in other ways", () => {
    write(
      "train",
      [
        { id: 1, name: "dog" },
        { id: 2, name: "cat" },
      ],
      1,
    );
    write(
      "valid",
      [
        { id: 1, name: "cat" },
        { id: 2, name: "dog" },
      ],
      1,
    );
    expect(labelOf("valid")).toBe("cat of dog, cat");
    expect(openDataset(folder, "valid").warnings[0]).toMatch("it is taken by its name");
  });

  it("are joined by name between a COCO and a YOLO split", () => {
    write(
      "train",
      [
        { id: 1, name: "dog" },
        { id: 2, name: "cat" },
      ],
      1,
    );
    put("data.yaml", "val: valid/images\nnames: [cat, dog]\n");
    put("valid/images/a.jpg", picture);
    put("valid/labels/a.txt", "0 0.5 0.5 0.5 0.5\n");
    expect(labelOf("valid")).toBe("cat of dog, cat");
  });

  it("may have numbers as names, and text as ids", () => {
    write("train", [{ id: "7", name: 42 }], "7");
    expect(labelOf("train")).toBe("42 of 42");
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
