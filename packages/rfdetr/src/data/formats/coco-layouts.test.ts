// The folders and files that COCO datasets come in, as the Python package reads them (`rfdetr.datasets.coco`).
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { convertDataset } from "../convert/convert-dataset.js";
import { hasSplit, openDataset } from "../open-dataset.js";
import { findLayout } from "./layout.js";

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

describe("several annotation files", () => {
  const split = (json: string, names = ["a.jpg"]): void => put(json, coco(names));
  const pictures = (...folders: string[]): void => folders.forEach((each) => put(`${each}/a.jpg`, picture));

  it.each([
    ["annotations/instances_train_part1.json", "annotations/instances_train_part2.json"],
    ["annotations/task1_train.json", "annotations/task2_train.json"],
    ["annotations/instances_train2014.json", "annotations/instances_train2017.json"],
    ["annotations/instances_train.json", "train.json"],
    ["annotations/instances_train.json", "annotations/instances_train_part2.json"],
    ["train/_annotations.coco.json", "annotations/instances_train.json"],
    ["train/_annotations.coco.json", "train/_annotations.coco.old.json"],
    ["train/part1.json", "train/part2.json"],
    ["train/_annotations.coco.json", "training/_annotations.coco.json"],
  ])("of one split are refused by name, since each would lose what the other holds: %s and %s", (one, other) => {
    for (const each of [one, other, "annotations/instances_val.json"]) split(each);
    pictures("images");
    expect(() => openDataset(folder, "train")).toThrow(
      `${folder} has several annotations for the train split, ${one} and ${other}: merge the files into one, or move`,
    );
    expect(openDataset(folder, "valid").images).toHaveLength(1);
  });

  it("of the test split do not stand in the way of training", () => {
    for (const each of ["train", "val", "test_1", "test_2"]) split(`annotations/${each}.json`);
    pictures("images");
    expect(openDataset(folder, "train").images).toHaveLength(1);
    expect(() => openDataset(folder, "test")).toThrow("several annotations for the test split");
  });

  it("of COCO that are for other tasks, or list images only, are passed over", () => {
    const kinds = ["captions", "instances", "panoptic", "person_keypoints", "stuff"];
    for (const words of ["train2017", "val2017"]) {
      for (const kind of kinds)
        split(`annotations/${kind}_${words}.json`, kind === "instances" ? ["a.jpg"] : ["b.jpg"]);
      pictures(words);
    }
    for (const words of ["test2017", "test-dev2017"]) split(`annotations/image_info_${words}.json`);
    for (const name of ["train", "valid"] as const) {
      const { images, warnings } = openDataset(folder, name);
      expect([images.map(({ file }) => file.slice(-5)), warnings]).toEqual([["a.jpg"], []]);
    }
    expect(hasSplit(folder, "test")).toBe(false);
  });

  it("count by what they hold: results, settings and the files of other tools are none", () => {
    split("train/_annotations.coco.json");
    split("annotations/val.json");
    put("annotations/val_results.json", [{ image_id: 1, category_id: 1, bbox: [1, 2, 3, 4], score: 0.5 }]);
    put("train/notes.json", { info: { images: [], text: "[{" }, categories: [] });
    for (let i = 0; i < 3; i++) put(`train/${i}.json`, { shapes: [], imagePath: `${i}.jpg` });
    pictures("train", "val");
    expect([openDataset(folder, "train"), openDataset(folder, "valid")]).toMatchObject([
      { images: { length: 1 } },
      { images: { length: 1 } },
    ]);
  });

  it("that are one file, by a link, are one", () => {
    split("val/_annotations.coco.json");
    split("train/_annotations.coco.json");
    pictures("train", "val");
    symlinkSync("val", join(folder, "valid"));
    expect(openDataset(folder, "valid").images).toHaveLength(1);
  });

  it("whose names have words for two splits are of the last one, and of neither beside others", () => {
    for (const each of ["test_train", "test_val"]) split(`annotations/${each}.json`);
    pictures("images");
    expect(openDataset(folder, "train").images).toHaveLength(1);
    expect(hasSplit(folder, "test")).toBe(false);
    for (const each of ["train", "val", "train_val"]) split(`annotations/${each}.json`, [`${each}.jpg`]);
    for (const each of ["train", "val"]) put(`images/${each}.jpg`, picture);
    expect(openDataset(folder, "valid").images[0].file).toBe(join(folder, "images/val.jpg"));
  });

  it("of no split are refused as those of one", () => {
    for (const each of ["task1", "task2"]) split(`${each}.json`);
    pictures("images");
    expect(() => convertDataset(folder, join(folder, "out"), "yolo")).toThrow(
      "several annotations for all images, task1.json and task2.json",
    );
  });

  it("are not taken a second time for the split that is missing", () => {
    split("val.json");
    pictures("val");
    expect(findLayout(folder)).toMatchObject({ unsplit: null, sources: { valid: {} } });
  });
});
