import { mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { augmentPresets } from "../augment/presets.js";
import { checkDataset } from "../check/check-dataset.js";
import { decodeFile } from "../images/decode.js";
import { readImageHeader } from "../images/image-header.js";
import { DataLoader } from "../loader/loader.js";
import { openDataset } from "../open-dataset.js";
import { synthesize } from "../synth/synth.js";
import type { CocoContent } from "./coco-types.js";

const root = mkdtempSync(join(tmpdir(), "dataset-"));
afterAll(() => rmSync(root, { recursive: true }));
let folder = "";
let count = 0;

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

beforeEach(async () => {
  folder = join(root, String(count++));
  for (const split of ["train", "valid"]) {
    mkdirSync(join(folder, split), { recursive: true });
    for (const name of ["a.jpg", "b.jpg"]) await jpeg(join(folder, split, name));
    const content: CocoContent = {
      images: [
        { id: 1, file_name: "a.jpg", width: 40, height: 30 },
        { id: 2, file_name: "b.jpg", width: 40, height: 30 },
      ],
      categories: [
        { id: 0, name: "birds", supercategory: "none" },
        { id: 7, name: "owl", supercategory: "birds" },
        { id: 3, name: "duck", supercategory: "birds" },
      ],
      annotations: [
        { id: 10, image_id: 1, category_id: 7, bbox: [1, 2, 10, 10], area: 50, iscrowd: 0 },
        { id: 11, image_id: 1, category_id: 3, bbox: [30, 20, 20, 20], iscrowd: 0 },
        { id: 12, image_id: 1, category_id: 3, bbox: [0, 0, 40, 30], iscrowd: 1 },
      ],
    };
    writeFileSync(annotations(split), JSON.stringify(content));
  }
});

describe("COCO datasets", () => {
  it("map sparse ids to classes by ascending id, leave grouping categories out, set crowds aside, clip boxes", () => {
    const { classNames, categoryIds, images } = openDataset(folder, "train");
    expect([classNames, categoryIds]).toEqual([
      ["duck", "owl"],
      [3, 7],
    ]);
    expect([...images[0].labels]).toEqual([1, 0]);
    expect([...images[0].boxes]).toEqual([1, 2, 11, 12, 30, 20, 40, 30]);
    expect([...images[0].areas]).toEqual([50, 400]);
    expect([...images[0].crowd.boxes]).toEqual([0, 0, 40, 30]);
    expect(images[1].labels.length).toBe(0);
  });

  it("say what is wrong and where", () => {
    edit("valid", (c) => c.annotations.push({ id: 99, image_id: 1, category_id: 5, bbox: [0, 0, 1, 1] }));
    expect(() => openDataset(folder, "valid")).toThrow(/valid split of .* annotation 99 in a\.jpg has the category 5/);
    edit("train", (c) => {
      c.annotations = [{ id: 4, image_id: 77, category_id: 7, bbox: [0, 0, 1, 1] }];
    });
    expect(() => openDataset(folder, "train")).toThrow(
      /annotation 4 of .* belongs to image 77, .* \(and 1 more fault\)/,
    );
    truncateSync(annotations("train"), 100);
    expect(() => openDataset(folder, "train")).toThrow(/_annotations\.coco\.json/);
    expect(() => openDataset(join(root, "nothing"), "train")).toThrow(/does not exist/);
    mkdirSync(join(root, "empty"), { recursive: true });
    expect(() => openDataset(join(root, "empty"), "train")).toThrow(/is no dataset: it has none of/);
  });
});

describe("YOLO datasets", () => {
  it("read boxes and polygons, and name file and line of what does not fit", async () => {
    const yolo = join(root, `yolo-${count}`);
    for (const split of ["train", "val"]) {
      mkdirSync(join(yolo, "images", split), { recursive: true });
      mkdirSync(join(yolo, "labels", split), { recursive: true });
      await jpeg(join(yolo, "images", split, "a.jpg"), 100, 50);
      writeFileSync(join(yolo, "labels", split, "a.txt"), "1 0.5 0.5 0.2 0.4\n0 0.1 0.2 0.3 0.2 0.3 0.6 0.1 0.6\n");
    }
    writeFileSync(
      join(yolo, "data.yaml"),
      "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n",
    );
    const { classNames, images } = openDataset(yolo, "valid");
    expect(classNames).toEqual(["cat", "dog"]);
    expect([...images[0].labels]).toEqual([1, 0]);
    [40, 15, 60, 35, 10, 10, 30, 30].forEach((c, i) => expect(images[0].boxes[i]).toBeCloseTo(c, 4));
    writeFileSync(join(yolo, "labels/train/a.txt"), "0 0.5 0.5 0.2 0.2\n5 0.5 0.5 0.2 0.2\n");
    expect(() => openDataset(yolo, "train")).toThrow(/line 2 of .*a\.txt has the class 5; the classes are 0 to 1/);
    writeFileSync(join(yolo, "labels/train/a.txt"), "0 0.5 0.5\n");
    expect(() => openDataset(yolo, "train")).toThrow(/line 1 .* has 3 fields/);
  });
});

describe("decoding", () => {
  const path = (name: string): string => join(root, name);
  const flat = { create: { width: 20, height: 10, channels: 3 as const, background: { r: 200, g: 100, b: 50 } } };
  it("gives RGB bytes whatever the file holds, and reads sizes without decoding", async () => {
    await sharp(flat).png().toFile(path("rgb.png"));
    await sharp(flat).ensureAlpha(0.3).png().toFile(path("rgba.png"));
    await sharp(flat).greyscale().jpeg().toFile(path("grey.jpg"));
    await sharp(flat).webp({ lossless: true }).toFile(path("x.webp"));
    await sharp(flat).toColourspace("rgb16").png().toFile(path("deep.png"));
    await sharp(flat).toColourspace("cmyk").jpeg().toFile(path("cmyk.jpg"));
    await sharp(flat).tiff().toFile(path("x.tiff"));
    for (const name of ["rgb.png", "rgba.png", "grey.jpg", "x.webp", "deep.png", "cmyk.jpg", "x.tiff"]) {
      const pixels = await decodeFile(path(name));
      expect([name, pixels.width, pixels.height, pixels.data.length]).toEqual([name, 20, 10, 600]);
      expect(readImageHeader(path(name))).toMatchObject({ width: 20, height: 10 });
    }
    expect([...(await decodeFile(path("rgba.png"))).data.subarray(0, 3)]).toEqual([200, 100, 50]);
    const [r, g, b] = (await decodeFile(path("grey.jpg"))).data;
    expect(r === g && g === b).toBe(true);
  });

  it("decodes large JPEGs smaller, but never below what is needed", async () => {
    await jpeg(path("large.jpg"), 1600, 1200);
    expect(await decodeFile(path("large.jpg"), { atLeast: 300 })).toMatchObject({ width: 400, height: 300 });
    expect(await decodeFile(path("large.jpg"), { atLeast: 700 })).toMatchObject({ width: 1600, height: 1200 });
  });

  it("names a file that was cut off", async () => {
    await sharp({
      create: {
        width: 300,
        height: 300,
        channels: 3,
        background: "#123456",
        noise: { type: "gaussian", mean: 100, sigma: 50 },
      },
    })
      .jpeg()
      .toFile(path("cut.jpg"));
    truncateSync(path("cut.jpg"), 5000);
    await expect(decodeFile(path("cut.jpg"))).rejects.toThrow(
      /cut\.jpg does not decode: it is the beginning of a JPEG and ends in the middle, after 5000 bytes/,
    );
    await expect(decodeFile(path("missing.jpg"))).rejects.toThrow(/missing\.jpg cannot be read: there is no such file/);
    truncateSync(path("cut.jpg"), 0);
    await expect(decodeFile(path("cut.jpg"))).rejects.toThrow(/cut\.jpg is empty/);
    writeFileSync(path("cut.jpg"), "nothing to see");
    await expect(decodeFile(path("cut.jpg"))).rejects.toThrow(/cut\.jpg is of no known kind/);
  });
});

describe("DataLoader", () => {
  const recipe = { size: 32, training: true, scaleJitter: false, augment: augmentPresets.default };
  it("gives the same batches with and without threads", async () => {
    const { images } = openDataset(folder, "train");
    const read = async (workers: number): Promise<unknown[]> => {
      const loader = new DataLoader({ recipe, workers });
      const batches: unknown[] = [];
      for await (const { images: bytes, targets, files } of loader.batches(images, {
        order: [0, 1, 1, 0, 0],
        batchSize: 2,
        seedOf: (place) => ["x", place],
      }))
        batches.push([Buffer.from(bytes).toString("base64"), targets, files]);
      await loader.close();
      return batches;
    };
    const alone = await read(0);
    expect(alone.length).toBe(3);
    expect(await read(2)).toEqual(alone);
  });

  it("stops with the name of an image that does not decode, or goes on without it when told", async () => {
    truncateSync(join(folder, "train", "b.jpg"), 150);
    const { images } = openDataset(folder, "train");
    const read = async (onBadImage: "error" | "skip", warnings: string[]): Promise<number> => {
      let seen = 0;
      for await (const batch of new DataLoader({
        recipe,
        workers: 0,
        onBadImage,
        onWarning: (w) => warnings.push(w),
      }).batches(images, { order: [0, 1], batchSize: 2, seedOf: () => [] }))
        seen += batch.targets.length;
      return seen;
    };
    await expect(read("error", [])).rejects.toThrow(/b\.jpg does not decode/);
    const warnings: string[] = [];
    expect(await read("skip", warnings)).toBe(1);
    expect(warnings[0]).toMatch(/b\.jpg/);
  });
});

describe("synthetic data", () => {
  it("is a valid dataset, the same for the same seed, with boxes around what was drawn", async () => {
    const make = async (name: string, seed: number): Promise<string> => {
      const out = join(root, name);
      await synthesize(out, { images: 12, size: 96, classes: 5, seed });
      return out;
    };
    const [a, b, c] = [await make("s1", 1), await make("s2", 1), await make("s3", 2)];
    expect((await checkDataset(a)).findings.filter(({ training }) => training !== "kept")).toEqual([]);
    const file = (out: string): Buffer => readFileSync(join(out, "train", "train-00003.jpg"));
    expect(file(a).equals(file(b))).toBe(true);
    expect(file(a).equals(file(c))).toBe(false);
    expect(readFileSync(join(a, "train/_annotations.coco.json"), "utf8")).toBe(
      readFileSync(join(b, "train/_annotations.coco.json"), "utf8"),
    );
    expect(readFileSync(join(a, "LICENSES.txt"), "utf8")).toMatch(/Apache/);
    await expect(synthesize(a)).rejects.toThrow(/does not exist yet/);
    await expect(synthesize(join(root, "s4"), { classes: 99 })).rejects.toThrow(
      /from 1 to 24 for classes but received 99/,
    );
  });
});
