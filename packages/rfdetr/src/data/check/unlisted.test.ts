// Pictures that an annotation file forgets: a note of `data check`, which changes nothing in training.
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { coco, folder, picture, put } from "../../testing/layout-files.js";
import { checkDataset } from "./check-dataset.js";

const pictures = (place: string, ...names: string[]): void => {
  for (const name of names) put(`${place}/${name}.jpg`, picture);
};

/** What is said of pictures that are not listed. */
async function notes(): Promise<string[]> {
  const { ok, findings } = await checkDataset(folder, { decode: false });
  expect(ok).toBe(true);
  return findings.filter(({ check }) => check === "pictures that are not listed").map(({ message }) => message);
}

describe("pictures that no annotation file lists", () => {
  it("are counted for each split, with examples", async () => {
    for (const split of ["train", "valid"]) put(`${split}/_annotations.coco.json`, coco(["a.jpg"]));
    pictures("train", "a", "b", "c", "deep/d", "e");
    put("train/f.heic", "");
    pictures("valid", "a", "b");
    expect(await notes()).toEqual([
      "5 pictures in the folder of the train images are in no annotation file: such as train/b.jpg, train/c.jpg, train/deep/d.jpg",
      "1 picture in the folder of the valid images is in no annotation file: valid/b.jpg",
    ]);
  });

  it("are those of no split where the splits share a folder", async () => {
    put("annotations/train.json", coco(["a.jpg"]));
    put("annotations/val.json", coco(["b.jpg"]));
    pictures("images", "a", "b", "c");
    expect(await notes()).toEqual([
      "1 picture in the folder of the train images is in no annotation file: images/c.jpg",
    ]);
  });

  it("are not those beside the folder of a split, nor those that are listed by the name of a link", async () => {
    put("train/_annotations.coco.json", coco(["link/a.jpg", "b.jpg"]));
    put("annotations/val.json", coco(["a.jpg"]));
    pictures("train", "real/a", "b");
    symlinkSync("real", join(folder, "train/link"));
    pictures("val", "a");
    pictures("drafts", "a");
    pictures(".", "x");
    expect(await notes()).toEqual([]);
  });

  it("are nothing to speak of in YOLO, where a picture without labels is background", async () => {
    put("data.yaml", "names: [cat]\n");
    for (const split of ["train", "valid"]) {
      pictures(`${split}/images`, "a", "b");
      put(`${split}/labels/a.txt`, "0 0.5 0.5 0.5 0.5\n");
    }
    expect(await notes()).toEqual([]);
  });
});
