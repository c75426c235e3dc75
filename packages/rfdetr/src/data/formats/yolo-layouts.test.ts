// The folders and files that YOLO datasets come in, as the Python package reads them (`rfdetr.datasets.yolo`).
import { rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { convertDataset } from "../convert/convert-dataset.js";
import { hasSplit, openDataset } from "../open-dataset.js";
import { findLayout } from "./layout.js";
import { listDataset } from "./list-dataset.js";

describe("YOLO folders", () => {
  const box = "0 0.5 0.5 0.5 0.5\n";
  const split = (images: string, labels: string): void => {
    put(`${images}/a.jpg`, picture);
    put(`${labels}/a.txt`, box);
  };
  const counts = (dataset = folder): number[] =>
    (["train", "valid"] as const).map((name) => openDataset(dataset, name).images[0].labels.length);

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

  it.each([
    ["train: trian.txt\n", "train", '"trian.txt"'],
    ["path: .\ntrain: train.txt\nval: holdout/images\n", "valid", '"holdout/images"'],
    ["val: /mnt/holdout/images\n", "valid", '"/mnt/holdout/images"'],
    ["test: /mnt/holdout/images\n", "test", '"/mnt/holdout/images"'],
  ] as const)("takes no other folder for one that is not there: %j", (yaml, name, entry) => {
    put("data.yaml", `${yaml}names: [cat]\n`);
    for (const each of ["train", "valid", "test"]) split(`${each}/images`, `${each}/labels`);
    expect(() => openDataset(folder, name)).toThrow(`names ${entry} for the ${name} images, but there is no such`);
  });

  it("of a split are not those of a dataset without splits", () => {
    put("data.yaml", "train: trian\nval: images/val\nnames: [cat]\n");
    split("images/train", "labels/train");
    split("images/val", "labels/val");
    expect(findLayout(folder)).toMatchObject({ unsplit: null, sources: { train: { folders: [] } } });
    put("data.yaml", "train: trian\nval: lav\nnames: [cat]\n");
    expect(findLayout(folder)).toMatchObject({ unsplit: null, sources: { train: { folders: [] } } });
    // Nor is the folder of all images taken for a split that is named and not there.
    for (const each of ["train", "val"]) rmSync(join(folder, "images", each), { recursive: true });
    split("images", "labels");
    expect(findLayout(folder)).toMatchObject({ unsplit: null, sources: { train: { folders: [] } } });
    expect(() => convertDataset(folder, join(folder, "out"), "coco")).toThrow('names "trian" for the train images');
    expect(() => openDataset(folder, "valid")).toThrow('names "lav" for the valid images');
    put("data.yaml", "names: [cat]\n");
    put("images/val/a.jpg", picture);
    expect(findLayout(folder).unsplit).toBe(null);
  });

  it("of Label Studio have a file of notes beside the labels, which is no annotations", () => {
    split("images", "labels");
    put("classes.txt", "cat\n");
    put("notes.json", { categories: [{ id: 0, name: "cat" }], info: { contributor: "Label Studio" } });
    const { splits } = listDataset(folder, { splits: "present", unsplit: true });
    expect(splits).toMatchObject({ train: { layout: "yolo", annotations: 1 } });
  });

  it.each([
    ["train/old.json", "data.yaml", `give ${join(folder, "data.yaml")} as the dataset for the labels, or move`],
    ["train/_annotations.coco.json", "data.yaml", `give ${join(folder, "data.yaml")} as the dataset for the labels`],
    ["annotations/train.json", "classes.txt", "move elsewhere what is not meant"],
  ])("with %s as well, which holds annotations too, are not guessed", (json, names, remedy) => {
    for (const each of ["train", "valid"]) split(`${each}/images`, `${each}/labels`);
    put(names, names === "data.yaml" ? "names: [cat]\n" : "cat\n");
    put(json, coco(["a.jpg"]));
    expect(() => openDataset(folder, "train")).toThrow(
      `has several annotations for the train split, ${json} and the labels of ${names}: ${remedy}`,
    );
    expect(openDataset(folder, "valid").layout).toBe("yolo");
    if (names === "data.yaml") expect(openDataset(join(folder, names), "train").layout).toBe("yolo");
  });

  it("without any labels are those of the annotations beside the file of names", () => {
    put("train/images/a.jpg", picture);
    put("train/_annotations.coco.json", coco(["a.jpg"]));
    put("data.yaml", "train: train/images\nnames: [dog, person]\n");
    expect(openDataset(folder, "train").layout).toBe("roboflow-coco");
  });

  it("have one file of names", () => {
    for (const each of ["train", "valid"]) split(`${each}/images`, `${each}/labels`);
    put("data.yaml", "names: [cat]\n");
    put("dataset.yaml", "names: [dog]\n");
    expect(() => openDataset(folder, "train")).toThrow("found data.yaml, dataset.yaml: give the one to use");
    put("dataset.yaml", "license: free\n");
    expect(openDataset(folder, "train").classNames).toEqual(["cat"]);
  });

  it("count the lines of classes.txt: one that is empty between others is refused", () => {
    for (const each of ["train", "valid"]) split(`${each}/images`, `${each}/labels`);
    put("classes.txt", "cat\n\ndog\n");
    expect(() => openDataset(folder, "train")).toThrow(/every line of .*classes\.txt but line 2 is empty/);
    put("classes.txt", "\r\ncat\r\n");
    expect(() => openDataset(folder, "train")).toThrow("line 1 is empty");
    put("classes.txt", "cat \r\n dog\r\n\r\n\n");
    expect(openDataset(folder, "train").classNames).toEqual(["cat", "dog"]);
    put("classes.txt", "\n");
    expect(() => openDataset(folder, "train")).toThrow("Expected at least one class");
  });

  it("that the path of the file lacks are taken from beside the file, and a finding says so", () => {
    put("data.yaml", "path: sub\ntrain: train/images\nval: valid/images\nnames: [cat]\n");
    split("sub/train/images", "sub/train/labels");
    split("valid/images", "valid/labels");
    expect(openDataset(folder, "train").warnings).toEqual([
      `${join(folder, "data.yaml")} says path: sub, which has no valid/images; taken from ${folder}`,
    ]);
  });

  it("named by a list in another way are taken if only one name means them, and a finding says so", () => {
    put("data.yaml", "train: train.txt\nval: valid/images\nnames: [cat]\n");
    split("train/images", "train/labels");
    put("train.txt", "/mnt/holdout/a.jpg\n");
    expect(openDataset(folder, "train").warnings).toEqual([
      "/mnt/holdout/a.jpg is taken for the file train/images/a.jpg",
    ]);
    put("train.txt", "/mnt/holdout/a.jpg\ntrain/images/a.jpg\n");
    expect(() => openDataset(folder, "train")).toThrow(/holdout.a\.jpg .*several images may mean it/);
  });

  it("inside another folder that is called images", () => {
    put("images/set/data.yaml", "train: train\nval: train\nnames: [cat]\n");
    split("images/set/train/images", "images/set/train/labels");
    expect(counts(join(folder, "images/set"))).toEqual([1, 1]);
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
    put("images/set/data.yaml", "names: [cat]\n");
    split("images/set/train/images", "images/set/train/labels");
    put("images/set/valid/images/a.jpg", picture);
    put("labels/set/valid/images/a.txt", box);
    expect(openDataset(join(folder, "images/set"), "valid").images[0].labels.length).toBe(0);
  });

  it("find a label file whose name composes an accent in another way", () => {
    put("data.yaml", "names: [cat]\n");
    put("train/images/cafe\u0301.jpg", picture);
    put("train/labels/caf\u00e9.txt", box);
    const { images, warnings } = openDataset(folder, "train");
    expect([images[0].labels.length, warnings.length]).toEqual([1, 1]);
  });
});
