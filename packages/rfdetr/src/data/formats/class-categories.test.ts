import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { openDataset } from "../open-dataset.js";
import { classCategories } from "./class-categories.js";
import type { CocoCategory } from "./coco-types.js";

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
