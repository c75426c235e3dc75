import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { listPictures, type PictureEntry, readPictures } from "./picture-index.js";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "pictures-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

function picture(file: string, kind: PictureEntry["kind"], title = file): PictureEntry {
  writeFileSync(join(folder, file), "");
  return { file, kind, title, alt: `What ${file} shows.`, width: 480, height: 360 };
}

describe("the index of pictures", () => {
  it("lists them in the order in which they are shown, whatever the order of writing", () => {
    const names = ["validation-10.jpg", "validation-2.jpg", "worst-missed-1.jpg"];
    listPictures(folder, [picture("labels.jpg", "labels"), picture(names[0], "validation")]);
    listPictures(folder, [picture(names[2], "worst"), picture(names[1], "validation")]);
    listPictures(folder, [picture("results.svg", "results")]);
    expect(readPictures(folder).map(({ file }) => file)).toEqual([
      "results.svg",
      "validation-2.jpg",
      "validation-10.jpg",
      "worst-missed-1.jpg",
      "labels.jpg",
    ]);
  });

  it("has the newest entry of each file only", () => {
    listPictures(folder, [picture("f1.svg", "f1", "old")]);
    listPictures(folder, [picture("f1.svg", "f1", "new")]);
    expect(readPictures(folder).map(({ title }) => title)).toEqual(["new"]);
  });

  it("leaves out files that are gone, damaged entries, and names that lead elsewhere", () => {
    const good = picture("f1.svg", "f1");
    const bad = [{ ...good, file: "../f1.svg" }, { ...good, file: "gone.svg" }, { ...good, width: -1 }, null, "f1.svg"];
    writeFileSync(join(folder, "pictures.json"), JSON.stringify([...bad, good]));
    expect(readPictures(folder)).toEqual([good]);
    for (const damaged of ["", "{}", "[{"]) {
      writeFileSync(join(folder, "pictures.json"), damaged);
      expect(readPictures(folder)).toEqual([]);
    }
    listPictures(folder, [good]);
    expect(JSON.parse(readFileSync(join(folder, "pictures.json"), "utf8"))).toEqual([good]);
  });

  it("of a folder without pictures is empty", () => {
    expect(readPictures(folder)).toEqual([]);
    expect(readPictures(join(folder, "none"))).toEqual([]);
  });
});
