import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { first, folder, root, train, valid, yolo } from "../../testing/checked-dataset.js";
import { annotationsOf, type Content, writeCoco, writeYolo } from "../../testing/dataset-files.js";
import { fixDataset } from "./fix-dataset.js";

const fixed = join(root, "fixed");
const written = (split = "train"): Content => JSON.parse(readFileSync(annotationsOf(fixed, split), "utf8"));

describe("a YOLO label in the repaired copy", () => {
  it("has a clipped box and its key points as they were, however many numbers they are", async () => {
    await writeYolo(folder);
    writeFileSync(join(folder, "data.yaml"), "kpt_shape: [4, 3]\nnames: [cat, dog]\n");
    const points = "0.9 0.4 2 0.95 0.5 2 0.96 0.6 2 1.02 0.5 0";
    yolo("a", `0 0.95 0.5 0.25 0.5 ${points}`);
    await fixDataset(folder, fixed);
    expect(readFileSync(join(fixed, "train/labels/a.txt"), "utf8")).toBe(`0 0.9125 0.5 0.175 0.5 ${points}\n`);
  });
});

describe("a COCO annotation of another scale in the repaired copy", () => {
  it("has its key points, parts and outline scaled with its box; other lists of numbers are named", async () => {
    await writeCoco(folder);
    const fields = {
      keypoints: [12, 6, 2, 36, 24, 1, 0, 0, 0],
      foot_kpts: [20, 10, 2],
      face_box: [12, 6, 4, 2],
      segmentation: [12, 6, 36, 6, 36, 24],
      corners: [[12, 6]],
      keypoint_names: ["beak"],
      track: 4,
    };
    train((c) => {
      Object.assign(c.images[0], { width: 80, height: 60 });
      Object.assign(first(c), { bbox: [12, 6, 24, 18], ...fields });
      c.annotations.splice(1, 1);
    });
    const { changes } = await fixDataset(folder, fixed);
    expect(written().annotations[0]).toMatchObject({
      bbox: [6, 3, 12, 9],
      keypoints: [6, 3, 2, 18, 12, 1, 0, 0, 0],
      foot_kpts: [10, 5, 2],
      face_box: [6, 3, 2, 1],
      segmentation: [6, 3, 18, 3, 18, 12],
      corners: [[12, 6]],
      keypoint_names: ["beak"],
      track: 4,
    });
    expect(changes).toEqual([
      "train: corners of 1 annotation is as before although the box is scaled to the size of the file: correct it if it is in pixels",
    ]);
  });
});

describe("ids in the repaired copy", () => {
  it("stay as they stand, texts too", async () => {
    await writeCoco(folder);
    train((c) => {
      c.images.forEach((image, i) => {
        image.id = ["500", "img-b"][i];
      });
      c.annotations.forEach((annotation, i) => {
        Object.assign(annotation, { id: ["17", "ann-1", 5][i], image_id: ["500", 500, "img-b"][i] });
      });
      c.categories[0].id = "3";
    });
    const { changes } = await fixDataset(folder, fixed);
    expect(changes).toEqual([]);
    const { images, annotations, categories } = written();
    expect(images.map(({ id }) => id)).toEqual(["500", "img-b"]);
    expect(categories.map(({ id }) => id)).toEqual(["3", 7]);
    expect(annotations.map(({ id, image_id: image, category_id: category }) => [id, image, category])).toEqual([
      ["17", "500", 7],
      ["ann-1", "500", "3"],
      [5, "img-b", "3"],
    ]);
  });

  it("stay where another annotation has none, or the same one; that one gets a number above all", async () => {
    await writeCoco(folder);
    train((c) => {
      c.annotations[0].id = undefined;
      c.annotations[1].id = 900_000;
      c.annotations[2].id = "900000";
    });
    const { changes } = await fixDataset(folder, fixed);
    expect(written().annotations.map(({ id }) => id)).toEqual([900_001, 900_000, 900_002]);
    expect(changes).toEqual(["train: 2 of 3 annotations get new ids, since they have none, or that of another"]);
  });

  it("of categories are those of the train split, and every class keeps its own fields", async () => {
    await writeCoco(folder);
    valid((c) => {
      c.categories = [
        { id: 3, name: "owl", colour: "brown" },
        { id: 7, name: "duck", skeleton: [[1, 2]] },
      ];
      for (const annotation of c.annotations) annotation.category_id = annotation.category_id === 3 ? 7 : 3;
    });
    const { changes } = await fixDataset(folder, fixed);
    expect(written("valid").categories).toEqual([
      { id: 3, name: "duck", skeleton: [[1, 2]], supercategory: "none" },
      { id: 7, name: "owl", colour: "brown", supercategory: "none" },
    ]);
    expect(changes).toEqual([
      "valid: categories have the ids of the train split: duck had 7 and has 3, owl had 3 and has 7",
    ]);
  });
});
