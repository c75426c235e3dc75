import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { testFolder } from "../../testing/test-folder.js";
import { cocoIds } from "./coco-ids.js";

const folder = testFolder();

describe("the ids of an annotation file", () => {
  it("are those that stand there, texts too, because pycocotools takes 1 and its text for two", () => {
    const path = join(folder, "truth.json");
    const images = ["img-0", "7", 8].map((id, i) => ({ id, file_name: `${i}.jpg` }));
    const categories = ["1", "x", 3].map((id) => ({ id, name: `class ${id}` }));
    writeFileSync(path, JSON.stringify({ images, categories, annotations: [] }));
    const files = [0, 1, 2].map((i) => join(folder, `${i}.jpg`));
    const ids = cocoIds(path, "coco", files);
    expect(files.map((file) => ids?.imageOf(file))).toEqual(["img-0", "7", 8]);
    expect(["class 1", "class x", "class 3", "class 4"].map((name) => ids?.categoryOf(name))).toEqual([
      "1",
      "x",
      3,
      null,
    ]);
  });
});
