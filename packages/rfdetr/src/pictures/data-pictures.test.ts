import { copyFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { readSplits, statsOf } from "../data/stats.js";
import { scratchBeside } from "../support/files/scratch.js";
import { editCoco, writeCoco, writePicture } from "../testing/dataset-files.js";
import { writeDataPictures } from "./data-pictures.js";
import { readPictures } from "./picture-index.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "data-pictures-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const data = () => join(folder, "data");
const out = () => join(folder, "out");

describe("pictures of a dataset", () => {
  it("show classes, boxes, and pictures that are in two splits side by side", async () => {
    await writeCoco(data());
    const read = readSplits(data());
    const { pictures, duplicates, warning } = await writeDataPictures(out(), read);
    expect(pictures.map(({ file }) => file)).toEqual([
      "labels.jpg",
      "classes.svg",
      "box-sizes.svg",
      "box-positions.svg",
      "box-shapes.svg",
      "duplicates-1.jpg",
    ]);
    expect(readPictures(out())).toHaveLength(6);
    expect(duplicates.map(({ files }) => files.length)).toEqual([2, 2]);
    expect(pictures.at(-1)?.alt).toContain("a.jpg of train is the same as a.jpg of valid");
    expect(warning).toBeNull();
    expect(statsOf(read).splits.map(({ split, boxes }) => [split, boxes])).toEqual([
      ["train", 3],
      ["valid", 3],
    ]);
  });

  it("replace those of an earlier call, without what is no more", async () => {
    await writeCoco(data());
    await writeDataPictures(out(), readSplits(data()));
    for (const [name, colour] of [
      ["a.jpg", "#123456"],
      ["b.jpg", "#ffff00"],
    ])
      await writePicture(join(data(), "valid", name), colour, { width: 90, height: 20 });
    editCoco(data(), "valid", (content) => {
      content.images = content.images.map((image) => ({ ...image, width: 90, height: 20 }));
    });
    await writeDataPictures(out(), readSplits(data()));
    expect(readdirSync(out())).not.toContain("duplicates-1.jpg");
  });

  it("go into the folder in which an earlier call was stopped", async () => {
    await writeCoco(data());
    const stop = new Error("stopped");
    const onProgress = () => {
      throw stop;
    };
    await expect(writeDataPictures(out(), readSplits(data()), { onProgress })).rejects.toBe(stop);
    writeFileSync(scratchBeside(join(out(), "labels.jpg")), "");
    await writeDataPictures(out(), readSplits(data()));
    expect(readPictures(out())).toHaveLength(6);
  });

  it("never go into a folder with other files, nor over them", async () => {
    await writeCoco(data());
    await expect(writeDataPictures(data(), readSplits(data()))).rejects.toThrow(
      "Expected an empty folder, or one of earlier pictures",
    );
    const used = mkdtempSync(join(folder, "used-"));
    writeFileSync(join(used, "notes.txt"), "");
    copyFileSync(join(data(), "train", "a.jpg"), join(used, "labels.jpg"));
    await expect(writeDataPictures(used, readSplits(data()))).rejects.toMatchObject({ code: "ERR_RUN_DIRECTORY" });
    expect(readdirSync(used).sort()).toEqual(["labels.jpg", "notes.txt"]);
    const file = join(used, "notes.txt");
    await expect(writeDataPictures(file, readSplits(data()))).rejects.toThrow(`${file} is a file: choose another name`);
  });
});
