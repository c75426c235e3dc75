import { mkdirSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { faults, first, folder, found, root, train, yolo } from "../../testing/checked-dataset.js";
import { annotationsOf, writeCoco, writeLabels, writeYolo } from "../../testing/dataset-files.js";
import { openDatasets } from "../open-dataset.js";
import { checkDataset } from "./check-dataset.js";
import { checks } from "./checks.js";
import { fixDataset } from "./fix-dataset.js";

describe("data check", () => {
  it("counts the entries of each split", async () => {
    await writeCoco(folder);
    const split = { images: 2, annotations: 3 };
    const report = { ok: true, layout: "roboflow-coco", splits: { train: split, valid: split } };
    expect(await checkDataset(folder)).toMatchObject(report);
  });

  it("names file, id and line", async () => {
    await writeCoco(folder);
    train((c) => c.annotations.push({ id: 20, image_id: 1, category_id: 7, bbox: [35, 5, 15, 5] }));
    expect(await faults()).toEqual([
      {
        check: "boxes outside the image",
        split: "train",
        file: annotationsOf(folder, "train"),
        id: 20,
        message: "the box of annotation 20 in a.jpg leaves the image: [35,5,15,5]",
        training: "repaired",
      },
    ]);
    rmSync(folder, { recursive: true });
    await writeYolo(folder);
    writeLabels(folder, "train", "b", ["1 0.3 0.25 0.3 0.3", "1 0.5 0.5"]);
    expect(await faults()).toMatchObject([
      {
        check: "malformed labels",
        file: join(folder, "train/labels/b.txt"),
        id: 2,
        message: expect.stringMatching(/line 2 of .*b\.txt has 3 fields/),
      },
    ]);
  });

  it.each(["0x1", "0b1", "1_000", "Infinity"])("takes no %s for a number of a label", async (text) => {
    await writeYolo(folder);
    yolo("a", `0 ${text} 0.5 0.2 0.2`);
    const { findings } = await checkDataset(folder, { decode: false });
    expect(findings[0]).toMatchObject({
      check: "malformed labels",
      message: expect.stringContaining(`holds something that is no number: 0 ${text} `),
    });
  });

  it("has more findings than a call has arguments", async () => {
    await writeYolo(folder);
    writeLabels(folder, "train", "a", ["0 0.5 0.5 0.1 0.1", ...new Array<string>(150_000).fill("0 0.5")]);
    const { findings } = await checkDataset(folder, { decode: false });
    expect(findings.filter(({ check }) => check === "malformed labels")).toHaveLength(150_000);
  });

  it("finds every fault of a split, not the first", async () => {
    await writeYolo(folder);
    for (const name of ["a", "b"]) yolo(name, "0 0.5 0.5", "7 0.5 0.5 0.1 0.1");
    truncateSync(join(folder, "valid/images/a.jpg"), 300);
    writeFileSync(join(folder, "valid/images/b.jpg"), "");
    expect(await found()).toEqual([
      "train malformed labels: refused ×2",
      "train unknown categories: refused ×2",
      "train no annotations: refused",
      "valid unreadable images: refused",
      "valid undecodable images: repaired",
    ]);
  });

  it("names TIFF files that are not decoded, or cut off", async () => {
    const goldens = new URL("../images/fixtures/tiff.json", import.meta.url);
    const { cases }: { cases: { name: string; file: string }[] } = JSON.parse(readFileSync(goldens, "utf8"));
    const bytes = (kind: string): Buffer =>
      Buffer.from(cases.find(({ name }) => name === kind)?.file as string, "base64");
    await writeYolo(folder);
    writeFileSync(join(folder, "valid/images/a.jpg"), bytes("RGB zstd"));
    writeFileSync(join(folder, "valid/images/b.jpg"), bytes("60 % of RGB raw"));
    expect(await found()).toEqual(["valid unreadable images: refused", "valid undecodable images: repaired"]);
  });

  it("does not let the test split stand in the way of training", async () => {
    await writeCoco(folder);
    mkdirSync(join(folder, "test"));
    writeFileSync(annotationsOf(folder, "test"), "{}");
    expect([...new Set((await faults()).map(({ split, training }) => `${split} ${training}`))]).toEqual(["test kept"]);
    expect(() => openDatasets(folder, ["test"])).toThrow(
      /The test split of .* cannot be used: Expected a list "images"/,
    );
    const { fixed, changes } = await fixDataset(folder, join(root, "fixed"));
    expect([Object.keys(fixed), changes]).toEqual([
      ["train", "valid"],
      ["the test split is left out: it has no good image"],
    ]);
  });

  it("looks at annotations that have no splits yet, and repairs them", async () => {
    await writeCoco(folder);
    train((c) => Object.assign(first(c), { bbox: [5, 5, 0, 5] }));
    const flat = join(root, "flat");
    renameSync(join(folder, "train"), flat);
    renameSync(annotationsOf(root, "flat"), join(flat, "result.json"));
    expect((await faults(flat)).map(({ split, check }) => `${split} ${check}`)).toEqual([
      "train missing split",
      "train empty boxes",
    ]);
    const { fixed, changes, whole } = await fixDataset(flat, join(root, "fixed"));
    expect([fixed, whole]).toEqual([{ train: { images: 2, annotations: 2 } }, false]);
    expect(changes).toEqual([
      "train: 1 of 3 annotations is left out",
      expect.stringMatching(/the copy lacks a split as well: .* has no splits, only .*result\.json/),
    ]);
  });

  it("finds the same whether it repairs or not", async () => {
    await writeYolo(folder);
    yolo("a", "0 0.5 0.5");
    const { report } = await fixDataset(folder, join(root, "fixed"));
    expect(report).toEqual(await checkDataset(folder));
  });

  it("names the folder in which labels were looked for", async () => {
    await writeYolo(folder);
    renameSync(join(folder, "train/labels"), join(folder, "train/Labels"));
    expect(() => openDatasets(folder, ["train"])).toThrow(join(folder, "train/labels"));
  });

  it("also says what spoils results: here rare classes, and pictures that are in both splits", async () => {
    await writeCoco(folder);
    const remarks = (await checkDataset(folder, { decode: true, autoOrient: true })).findings.filter(
      ({ check }) => !checks.some(({ name }) => name === check),
    );
    expect(remarks.map(({ split, check, training }) => [split, check, training])).toEqual([
      ["train", "rare classes", "kept"],
      ["valid", "pictures in several splits", "kept"],
      ["valid", "pictures in several splits", "kept"],
    ]);
    expect(remarks[1].message).toBe("train/a.jpg and valid/a.jpg are the same file");
    const fast = await checkDataset(folder, { decode: false });
    expect(fast.findings.some(({ check }) => check === "pictures in several splits")).toBe(false);
  });
});
