import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { CocoContent } from "../formats/coco-file.js";
import { openDataset } from "../formats/open.js";
import { checkDataset, type Finding } from "./check-dataset.js";
import { checks } from "./checks.js";
import { fixDataset } from "./fix-dataset.js";

let root = "";
let folder = "";

const jpeg = (path: string, width = 40, height = 30): Promise<unknown> =>
  sharp({ create: { width, height, channels: 3, background: "#808080" } })
    .jpeg()
    .toFile(path);
const annotations = (split: string): string => join(folder, split, "_annotations.coco.json");
function edit(split: string, change: (content: CocoContent) => void): void {
  const content = JSON.parse(readFileSync(annotations(split), "utf8")) as CocoContent;
  change(content);
  writeFileSync(annotations(split), JSON.stringify(content));
}

/** Two splits of two images; the first image has two good annotations, the second has one. */
async function writeCoco(): Promise<void> {
  for (const split of ["train", "valid"]) {
    mkdirSync(join(folder, split), { recursive: true });
    for (const name of ["a.jpg", "b.jpg"]) await jpeg(join(folder, split, name));
    const content: CocoContent = {
      images: [
        { id: 1, file_name: "a.jpg", width: 40, height: 30 },
        { id: 2, file_name: "b.jpg", width: 40, height: 30 },
      ],
      categories: [
        { id: 3, name: "duck" },
        { id: 7, name: "owl" },
      ],
      annotations: [
        { id: 10, image_id: 1, category_id: 7, bbox: [1, 2, 10, 10] },
        { id: 11, image_id: 1, category_id: 3, bbox: [30, 20, 10.4, 10.4] },
        { id: 12, image_id: 2, category_id: 3, bbox: [0, 0, 40, 30] },
      ],
    };
    writeFileSync(annotations(split), JSON.stringify(content));
  }
}

async function writeYolo(): Promise<void> {
  for (const split of ["train", "valid"]) {
    mkdirSync(join(folder, split, "images"), { recursive: true });
    mkdirSync(join(folder, split, "labels"), { recursive: true });
    for (const name of ["a", "b"]) await jpeg(join(folder, split, "images", `${name}.jpg`));
    writeFileSync(join(folder, split, "labels", "a.txt"), "0 0.5 0.5 0.5 0.5\n");
  }
  writeFileSync(join(folder, "data.yaml"), "names: [cat]\n");
}

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "check-"));
  folder = join(root, "data");
});
afterEach(() => rmSync(root, { recursive: true }));

describe("data check of a COCO dataset", () => {
  beforeEach(writeCoco);

  it("counts the entries of each split and finds nothing in good data", async () => {
    const split = { images: 2, annotations: 3 };
    const report = { ok: true, layout: "roboflow-coco", splits: { train: split, valid: split }, findings: [] };
    expect(await checkDataset(folder)).toEqual(report);
  });

  it("has a finding for each fault, with the file, the id and what training does, and the copy has none", async () => {
    edit("train", (c) => {
      c.images.push(
        { id: 2, file_name: "again.jpg", width: 40, height: 30 },
        { id: 3, file_name: "gone.jpg", width: 40, height: 30 },
        { id: 4, file_name: "bad.jpg", width: 40, height: 30 },
        { id: 5, file_name: "size.jpg", width: 10, height: 30 },
        { id: 6, file_name: "a.jpg", width: 0, height: 0 },
      );
      c.annotations.push(
        { id: 10, image_id: 1, category_id: 7, bbox: [5, 5, 5, 5] },
        { id: 19, image_id: 1, category_id: 7, bbox: [1, 2, 3] as never },
        { id: 20, image_id: 1, category_id: 7, bbox: [35, 5, 15, 5] },
        { id: 21, image_id: 1, category_id: 7, bbox: [5, 5, 0, 5] },
        { id: 22, image_id: 1, category_id: 42, bbox: [5, 5, 5, 5] },
        { id: 23, image_id: 50, category_id: 7, bbox: [5, 5, 5, 5] },
      );
    });
    await jpeg(join(folder, "train", "size.jpg"));
    await jpeg(join(folder, "train", "again.jpg"));
    writeFileSync(join(folder, "train", "bad.jpg"), "no image");
    const report = await checkDataset(folder);
    const image = (name: string): string => join(folder, "train", name);
    const found = (check: string): [file: string, id: number | null, training: string][] =>
      report.findings
        .filter((finding) => finding.check === check)
        .map(({ file, id, training }) => [file, id, training]);
    const source = annotations("train");
    const expected: Record<string, [file: string, id: number | null, training: string][]> = {
      "duplicate image ids": [[image("again.jpg"), 2, "refused"]],
      "duplicate annotation ids": [[source, 10, "kept"]],
      "duplicate file names": [[image("a.jpg"), 6, "kept"]],
      "missing files": [[image("gone.jpg"), 3, "refused"]],
      "undecodable images": [[image("bad.jpg"), 4, "refused"]],
      "images without a size": [[image("a.jpg"), 6, "refused"]],
      "wrong image sizes": [
        [image("size.jpg"), 5, "repaired"],
        [image("a.jpg"), 6, "repaired"],
      ],
      "images without annotations": [3, 4, 5, 6].map((id, i) => [
        image(["gone.jpg", "bad.jpg", "size.jpg", "a.jpg"][i]),
        id,
        "kept",
      ]),
      "annotations of unknown images": [[source, 23, "refused"]],
      "unknown categories": [[source, 22, "refused"]],
      "malformed boxes": [[source, 19, "refused"]],
      "empty boxes": [[source, 21, "repaired"]],
      "boxes outside the image": [[source, 20, "repaired"]],
    };
    for (const [check, faults] of Object.entries(expected)) expect([check, found(check)]).toEqual([check, faults]);
    expect([...new Set(report.findings.map(({ check }) => check))].sort()).toEqual(Object.keys(expected).sort());
    const messageOf = (check: string): string =>
      (report.findings.find((finding) => finding.check === check) as Finding).message;
    expect(messageOf("boxes outside the image")).toBe("the box of annotation 20 leaves a.jpg: [35,5,15,5]");
    expect(messageOf("wrong image sizes")).toBe("size.jpg is annotated with 10×30 pixels but has 40×30");
    expect(report.ok).toBe(false);

    const fixed = join(root, "fixed");
    expect(await fixDataset(folder, fixed, report)).toEqual({ train: 4, valid: 2 });
    const again = await checkDataset(fixed);
    expect([...new Set(again.findings.map(({ check }) => check))].sort()).toEqual([
      "duplicate file names",
      "images without annotations",
    ]);
    expect(again.ok).toBe(true);
    expect(openDataset(fixed, "train").images.map(({ width, height }) => [width, height])).toEqual(
      Array(4).fill([40, 30]),
    );
  });

  it("finds splits without images or annotations", async () => {
    edit("train", (c) => c.annotations.splice(0));
    edit("valid", (c) => {
      c.images.splice(0);
      c.annotations.splice(0);
    });
    const { findings } = await checkDataset(folder);
    expect(findings.map(({ split, check }) => `${split} ${check}`)).toEqual([
      "train no annotations",
      "train images without annotations",
      "train images without annotations",
      "valid no images",
      "valid no annotations",
    ]);
  });

  it("holds the valid split to the classes of the train split", async () => {
    edit("train", (c) => c.categories.pop());
    edit("train", (c) => c.annotations.shift());
    const { findings } = await checkDataset(folder);
    expect(findings.map(({ split, check, id }) => [split, check, id])).toEqual([["valid", "unknown categories", 10]]);
  });

  it("goes on to the other splits where annotations cannot be read, and writes no copy", async () => {
    writeFileSync(annotations("valid"), '{"images": [');
    const report = await checkDataset(folder);
    expect(report.findings).toEqual([
      {
        check: "broken annotations",
        split: "valid",
        file: annotations("valid"),
        id: null,
        message: expect.stringContaining("it ends in the middle"),
        training: "refused",
      },
    ]);
    expect(report.splits).toEqual({ train: { images: 2, annotations: 3 } });
    await expect(fixDataset(folder, join(root, "fixed"), report)).rejects.toThrow(
      "Expected annotations that can be repaired",
    );
  });

  it("has a different name for each check", () => {
    expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length);
  });
});

describe("data check of a YOLO dataset", () => {
  beforeEach(writeYolo);

  it("goes through the same table", async () => {
    const cut = join(folder, "valid/images/b.jpg");
    writeFileSync(cut, readFileSync(cut).subarray(0, -30));
    const report = await checkDataset(folder);
    expect(report.layout).toBe("yolo");
    expect(report.splits).toEqual({ train: { images: 2, annotations: 1 }, valid: { images: 2, annotations: 1 } });
    expect(report.findings.map(({ split, check, file, training }) => [split, check, file, training])).toEqual([
      ["train", "images without annotations", join(folder, "train/images/b.jpg"), "kept"],
      ["valid", "undecodable images", join(folder, "valid/images/b.jpg"), "refused"],
      ["valid", "images without annotations", join(folder, "valid/images/b.jpg"), "kept"],
    ]);
  });

  it("names the line that cannot be read", async () => {
    writeFileSync(join(folder, "train/labels/a.txt"), "5 0.5 0.5 0.5 0.5\n");
    const { ok, findings } = await checkDataset(folder);
    expect(ok).toBe(false);
    expect(findings[0]).toMatchObject({
      check: "broken annotations",
      split: "train",
      file: join(folder, "data.yaml"),
      training: "refused",
    });
    expect(findings[0].message).toMatch(/class from 0 to 0 in line 1 of .*a\.txt but received 5/);
  });

  it("writes no copy", async () => {
    const target = join(root, "fixed");
    await expect(fixDataset(folder, target, await checkDataset(folder))).rejects.toThrow("Expected a COCO dataset");
    expect(existsSync(target)).toBe(false);
  });
});
