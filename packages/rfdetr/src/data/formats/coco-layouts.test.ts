// The folders and files that COCO datasets come in, as the Python package reads them (`rfdetr.datasets.coco`).
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { hasSplit, openDataset } from "../open-dataset.js";

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
