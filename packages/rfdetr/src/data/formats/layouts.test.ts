// The folders and files that datasets come in, as the Python package reads them (`rfdetr.datasets.coco`,
// `rfdetr.datasets.yolo`).

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type CocoCategory, classCategories } from "./coco-file.js";
import { hasSplit, openDataset } from "./open.js";

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
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    put(`${valid}/_annotations.coco.json`, coco(["a.jpg"]));
    expect(openDataset(folder, "valid").layout).toBe("roboflow-coco");
    expect(openDataset(folder, "valid").images[0].file).toBe(join(folder, valid, "a.jpg"));
  });

  it("take the classes of the other splits from the training split", () => {
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    const other = coco(["a.jpg"]);
    put("valid/_annotations.coco.json", { ...other, categories: [{ id: 18, name: "dog" }] });
    const valid = openDataset(folder, "valid");
    expect([valid.classNames, [...valid.images[0].labels]]).toEqual([["person", "dog"], [1]]);
  });

  it("keep crowd regions aside, and images without anything on them", () => {
    const crowd = { id: 2, image_id: 1, category_id: 1, bbox: [0, 0, 40, 20], iscrowd: 1 };
    put("train/_annotations.coco.json", coco(["a.jpg", "empty.jpg"], [crowd]));
    const [first, second] = openDataset(folder, "train").images;
    expect([first.labels.length, first.crowd.labels.length, second.labels.length]).toEqual([1, 1, 0]);
  });
});

describe("categories that are classes", () => {
  const names = (categories: CocoCategory[], used: number[] = []): string[] =>
    classCategories({
      images: [],
      categories,
      annotations: used.map((category_id, id) => ({ id, image_id: 1, category_id, bbox: [0, 0, 1, 1] })),
    }).map(({ name }) => name);

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
    ["train: ../elsewhere\nnames: [cat]\n", "Expected the train images of"],
    ["train: list.txt\nnames: [cat]\n", "list.txt is a file: name the folder of its images"],
    ["names:\n  0: cat\n  2: dog\n", 'Expected class numbers 0 to 1 in "names"'],
    ["nc: 3\n", 'Expected a list or mapping "names"'],
    ["names: [cat\n", "Expected YAML in"],
  ])("name what is wrong with %j", (yaml, message) => {
    mkdirSync(join(root, "elsewhere"), { recursive: true });
    put("list.txt", "a.jpg");
    put("data.yaml", yaml);
    expect(() => openDataset(folder, "train")).toThrow(message);
  });
});
