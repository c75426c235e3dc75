import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Rng } from "../../support/random.js";
import { type Content, editCoco, writeCoco } from "../../testing/dataset-files.js";
import { checkDataset } from "../check/check-dataset.js";
import { openDataset } from "../open-dataset.js";
import { splitDataset } from "./split-dataset.js";

let root = "";
let folder = "";
let out = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "split-"));
  [folder, out] = [join(root, "data"), join(root, "out")];
});
afterEach(() => rmSync(root, { recursive: true }));

/** A picture of noise in 4 × 4 parts, another for each seed. */
async function noise(path: string, seed: number): Promise<void> {
  const rng = new Rng(seed, "noise");
  const data = Uint8Array.from({ length: 48 }, () => rng.integer(0, 255));
  mkdirSync(join(path, ".."), { recursive: true });
  await sharp(data, { raw: { width: 4, height: 4, channels: 3 } })
    .resize(64, 64, { kernel: "nearest" })
    .png()
    .toFile(path);
}

/** Twenty pictures in one folder: a duck on each, an owl on every fourth. */
async function writeUnsplitCoco(): Promise<Content> {
  const content: Content = { info: { year: 2024 }, licenses: [], images: [], annotations: [], categories: [] };
  content.categories.push({ id: 1, name: "duck", supercategory: "bird", colour: "brown" }, { id: 4, name: "owl" });
  for (let i = 0; i < 20; i++) {
    const name = `flock-${i % 2}/${i}.png`;
    await noise(join(folder, "images", name), i);
    content.images.push({ id: 100 + i, file_name: name, width: 64, height: 64, place: "lake" });
    const annotation = { image_id: 100 + i, bbox: [1.5, 2, 30.25, 40], area: 900, iscrowd: 0 };
    content.annotations.push({ ...annotation, id: 500 + i, category_id: 1, segmentation: [[1, 2, 3, 4, 5, 6]] });
    if (i % 4 === 0) content.annotations.push({ ...annotation, id: 600 + i, category_id: 4, pose: "flying" });
  }
  writeFileSync(join(folder, "annotations.json"), JSON.stringify(content));
  return content;
}

const written = (split: string): Content =>
  JSON.parse(readFileSync(join(out, split, "_annotations.coco.json"), "utf8"));
const names = (split: string): string[] => written(split).images.map(({ file_name: name }) => name as string);

describe("splitting a COCO dataset without splits", () => {
  it("gives each split its share of the classes, and changes no entry", async () => {
    const content = await writeUnsplitCoco();
    const report = await splitDataset(folder, out, { valid: 0.2, test: 0.2 });
    expect(report).toEqual({
      splits: {
        train: { images: 12, annotations: 15 },
        valid: { images: 4, annotations: 5 },
        test: { images: 4, annotations: 5 },
      },
      groups: 0,
      remarks: [],
    });
    const parts = ["train", "valid", "test"].map(written);
    const byId = (entries: Record<string, unknown>[]) => entries.sort((a, b) => Number(a.id) - Number(b.id));
    expect(byId(parts.flatMap(({ images }) => images))).toEqual(content.images);
    expect(byId(parts.flatMap(({ annotations }) => annotations))).toEqual(byId(content.annotations));
    for (const part of parts) {
      expect(part.info).toEqual({ year: 2024 });
      expect(part.categories).toEqual([content.categories[0], { ...content.categories[1], supercategory: "none" }]);
    }
    expect((await checkDataset(out)).ok).toBe(true);
    expect(lstatSync(join(out, "train", names("train")[0])).isSymbolicLink()).toBe(true);
  });

  it("gives the same splits for the same seed", async () => {
    await writeUnsplitCoco();
    await splitDataset(folder, out, { seed: 3 });
    const first = names("valid");
    rmSync(out, { recursive: true });
    await splitDataset(folder, out, { seed: 3 });
    expect(names("valid")).toEqual(first);
    rmSync(out, { recursive: true });
    await splitDataset(folder, out, { seed: 4 });
    expect(names("valid")).not.toEqual(first);
  });

  it("keeps near duplicates together, and sub-folders if asked", async () => {
    await writeUnsplitCoco();
    for (let i = 10; i < 20; i++) {
      const jpeg = await sharp(join(folder, `images/flock-${i % 2}/${i - 10}.png`))
        .jpeg()
        .toBuffer();
      writeFileSync(join(folder, `images/flock-${i % 2}/${i}.png`), jpeg);
    }
    const { groups } = await splitDataset(folder, out, { valid: 0.3 });
    expect(groups).toBe(10);
    const number = (name: string): number => Number(/(\d+)\.png/.exec(name)?.[1]);
    const valid = new Set(names("valid").map(number));
    for (const n of valid) expect(valid.has((n + 10) % 20)).toBe(true);
    rmSync(out, { recursive: true });
    await splitDataset(folder, out, { valid: 0.4, by: "group" });
    expect(new Set(names("valid").map((name) => name.split("/")[0])).size).toBe(1);
  });

  it("writes nothing where a split would be empty, the target exists or a share cannot be", async () => {
    await writeUnsplitCoco();
    await expect(splitDataset(folder, out, { valid: 0.001 })).rejects.toThrow(
      /Expected enough pictures in .*annotations.json for a valid split but no picture of 20/,
    );
    await expect(splitDataset(folder, out, { valid: 0.6, test: 0.5 })).rejects.toThrow("below 1 together");
    await expect(splitDataset(folder, out, { valid: 1.5 })).rejects.toThrow("a share from 0 to below 1 for valid");
    await expect(splitDataset(folder, out, { valid: 0 })).rejects.toThrow("a share above 0 for valid or test");
    expect(existsSync(out)).toBe(false);
    mkdirSync(out);
    await expect(splitDataset(folder, out)).rejects.toThrow("a folder that does not exist yet");
    for (const to of ["nowhere", "loop"]) {
      const link = `${out}-${to}`;
      symlinkSync(to === "loop" ? link : to, link);
      await expect(splitDataset(folder, link)).rejects.toThrow("a folder that does not exist yet");
    }
  });

  it("refuses a dataset with faults", async () => {
    const content = await writeUnsplitCoco();
    content.annotations[0].image_id = 9;
    writeFileSync(join(folder, "annotations.json"), JSON.stringify(content));
    await expect(splitDataset(folder, out)).rejects.toThrow(/without faults but annotation 500 .* image 9/);
    expect(existsSync(out)).toBe(false);
  });
});

describe("splitting a dataset that has a train split", () => {
  it("keeps the splits that are there", async () => {
    await writeCoco(folder);
    for (let i = 0; i < 8; i++) {
      await noise(join(folder, "train", `${i}.png`), i);
      editCoco(folder, "train", ({ images, annotations }) => {
        images.push({ id: 50 + i, file_name: `${i}.png`, width: 64, height: 64 });
        annotations.push({ id: 50 + i, image_id: 50 + i, category_id: 3 + 4 * (i % 2), bbox: [1, 1, 9, 9] });
      });
    }
    const { splits, remarks } = await splitDataset(folder, out, { test: 0.3 });
    expect(Object.keys(splits)).toEqual(["train", "valid", "test"]);
    expect(written("valid").annotations).toMatchObject(
      JSON.parse(readFileSync(join(folder, "valid", "_annotations.coco.json"), "utf8")).annotations,
    );
    expect((splits.train?.images ?? 0) + (splits.test?.images ?? 0)).toBe(10);
    expect(remarks).toEqual([]);
    await expect(splitDataset(folder, join(root, "second"), { valid: 0.3 })).rejects.toThrow("without a valid split");
    await expect(splitDataset(folder, join(root, "second"))).rejects.toThrow(
      `Expected a share of train for the test split: ${folder} has a valid split already`,
    );
    const anew = `To deal the pictures of train anew, split its folder alone: ${join(folder, "train")}`;
    const hint = `It can be trained on as it is. Give a share to test alone, such as --test 0.1. ${anew}`;
    for (const options of [{}, { valid: 0.3 }])
      await expect(splitDataset(folder, join(root, "second"), options)).rejects.toMatchObject({ hint });
    await expect(splitDataset(out, join(root, "second"))).rejects.toMatchObject({
      hint: `It can be trained on as it is. ${anew.replace(folder, out)}`,
    });
    expect((await splitDataset(join(folder, "train"), join(root, "second"))).splits.valid?.images).toBe(2);
  });
});

describe("splitting a YOLO dataset", () => {
  const polygon = "1 0.1 0.1 0.6 0.1 0.4 0.700001";
  beforeEach(async () => {
    for (let i = 0; i < 10; i++) {
      await noise(join(folder, "images", `${i}.png`), i);
      mkdirSync(join(folder, "labels"), { recursive: true });
      writeFileSync(join(folder, "labels", `${i}.txt`), `0 0.5 0.5 0.25 0.30000\n${polygon}\n`);
    }
    copyFileSync(join(folder, "images", "0.png"), join(folder, "images", "twin.png"));
  });

  it("keeps every line of the labels and the other keys of data.yaml", async () => {
    writeFileSync(join(folder, "data.yaml"), "names: [cat, dog]\nlicense: free\n");
    const { splits } = await splitDataset(folder, out);
    expect(splits.train?.images).toBe(9);
    const [image] = openDataset(out, "valid").images;
    const text = readFileSync(image.file.replace("/images/", "/labels/").replace(".png", ".txt"), "utf8");
    expect(text).toBe(`0 0.5 0.5 0.25 0.30000\n${polygon}\n`);
    expect(readFileSync(join(out, "data.yaml"), "utf8")).toContain("license: free");
    expect((await checkDataset(out)).ok).toBe(true);
  });

  it("says how to deal its pictures anew where it has splits", async () => {
    writeFileSync(join(folder, "data.yaml"), "names: [cat, dog]\n");
    await splitDataset(folder, out);
    const anew = `write a copy of ${join(out, "data.yaml")} with the train images as \`val\` too, and split that`;
    await expect(splitDataset(out, join(root, "second"))).rejects.toMatchObject({
      hint: expect.stringContaining(anew),
    });
  });

  it("deals a valid split anew that is the train split itself", async () => {
    writeFileSync(join(folder, "data.yaml"), "train: images\nval: images\nnames: [cat, dog]\n");
    const { splits, remarks } = await splitDataset(folder, out, { valid: 0.2 });
    expect(splits).toMatchObject({ train: { images: 9 }, valid: { images: 2 } });
    expect(remarks).toEqual(["the valid split has pictures of the train split only: it is dealt anew"]);
  });
});
