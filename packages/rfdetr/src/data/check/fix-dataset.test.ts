import { mkdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { type Mask, maskBox } from "../../masks/mask.js";
import { column, first, folder, root, train, valid, writeOutlined, yolo } from "../../testing/checked-dataset.js";
import {
  annotationsOf,
  type Content,
  picture,
  rectangle,
  writeCoco,
  writeLabels,
  writePicture,
  writeYolo,
} from "../../testing/dataset-files.js";
import { convertDataset } from "../convert/convert-dataset.js";
import { openDatasets } from "../open-dataset.js";
import { fixDataset } from "./fix-dataset.js";

/** The mean red of the pixels in a box of a file. */
async function redIn(file: string, [left, top, width, height]: readonly number[]): Promise<number> {
  const box = { left: Math.round(left), top: Math.round(top), width: Math.round(width), height: Math.round(height) };
  const pixels = await sharp(file).autoOrient().extract(box).removeAlpha().raw().toBuffer();
  return pixels.filter((_, i) => i % 3 === 0).reduce((sum, red) => sum + red, 0) / (pixels.length / 3);
}

describe("the repaired copy", () => {
  it("holds every picture under its own name, with its own boxes", async () => {
    await writeCoco(folder);
    await writePicture(join(folder, "train/x/1.jpg"), "#ff0000");
    await writePicture(join(folder, "train/y/1.jpg"), "#0000ff");
    train((c) => {
      c.images.push({ id: 5, file_name: "x/1.jpg", ...picture }, { id: 6, file_name: "y/1.jpg", ...picture });
      c.annotations.push(
        { id: 30, image_id: 5, category_id: 7, bbox: [...rectangle] },
        { id: 31, image_id: 6, category_id: 3, bbox: [0, 0, 5, 5] },
      );
    });
    await fixDataset(folder, join(root, "fixed"));
    const images = openDatasets(join(root, "fixed"), ["train"])[0].images.slice(2);
    expect(images.map(({ labels }) => [...labels])).toEqual([[1], [0]]);
    expect(await redIn(images[0].file, rectangle)).toBeGreaterThan(200);
    expect(await redIn(images[1].file, rectangle)).toBeLessThan(50);
  });

  it("keeps the boxes on their objects where the annotations have another scale, and scales outlines with them", async () => {
    await writeCoco(folder);
    train((c) => {
      Object.assign(c.images[0], { width: 80, height: 60 });
      Object.assign(first(c), { bbox: rectangle.map((v) => v * 2), segmentation: [[12, 6, 36, 6, 36, 24]], area: 432 });
      c.annotations.splice(1, 1);
    });
    await fixDataset(folder, join(root, "fixed"));
    const [{ width, height, boxes, areas }] = openDatasets(join(root, "fixed"), ["train"])[0].images;
    expect([width, height, [...boxes], [...areas]]).toEqual([40, 30, [6, 3, 18, 12], [108]]);
    const content = JSON.parse(readFileSync(annotationsOf(join(root, "fixed"), "train"), "utf8")) as Content;
    expect(content.annotations[0].segmentation).toEqual([[6, 3, 18, 3, 18, 12]]);
  });

  it("resizes masks with the boxes, and gives rectangles to objects without outlines", async () => {
    await writeOutlined();
    train((c) => {
      Object.assign(c.images[0], { width: 80, height: 60 });
      Object.assign(first(c), { bbox: [12, 0, 4, 60], segmentation: column(60, 80) });
      c.annotations[1] = { id: 11, image_id: 2, category_id: 3, bbox: [2, 2, 4, 4], segmentation: [] };
    });
    const { changes } = await fixDataset(folder, join(root, "fixed"), { masks: true });
    expect(changes).toEqual(["train: 1 object without an outline gets the rectangle of its box"]);
    const [{ images }] = openDatasets(join(root, "fixed"), ["train"], { masks: true });
    const [mask] = images[0].outlines as [{ mask: Mask }];
    // One column of 80 is half of one of 40: the middle of column 3 shows it.
    expect([images[0].width, mask.mask.width, maskBox(mask.mask)]).toEqual([40, 40, [3, 3, 4, 12]]);
    expect(images[1].outlines).toEqual([
      { polygons: [Float64Array.of(2, 2, 6, 2, 6, 6, 2, 6)] },
      { polygons: [Float64Array.of(0, 0, 40, 0, 0, 30)] },
    ]);
  });

  it("keeps the boxes on their objects where a tag turns the picture, in the frame that was annotated", async () => {
    await writeCoco(folder);
    const path = join(folder, "train/a.jpg");
    const stored = await sharp(path).rotate(270).withMetadata({ orientation: 6 }).toBuffer();
    writeFileSync(path, stored);
    await fixDataset(folder, join(root, "fixed"));
    const [{ width, height, orientation, file, boxes }] = openDatasets(join(root, "fixed"), ["train"])[0].images;
    expect([width, height, orientation, [...boxes.subarray(0, 4)]]).toEqual([40, 30, 6, [6, 3, 18, 12]]);
    expect(await redIn(file, rectangle)).toBeGreaterThan(200);
    train((c) => Object.assign(c.images[0], { width: 30, height: 40 }));
    expect(openDatasets(folder, ["train"])[0].images[0].orientation).toBe(1);
  });

  it("keeps polygons, key points and other keys of a YOLO dataset", async () => {
    await writeYolo(folder);
    writeFileSync(join(folder, "data.yaml"), "kpt_shape: [1, 3]\nnames: [cat, dog]\n");
    yolo(
      "a",
      "0 0.3 0.25 0.3 0.3 0.1 0.1 2",
      "0 0.9 0.9 0.4 0.4 0.2 0.2 1",
      "1 0.1 0.1 0.5 0.2 1.2 0.6",
      "0 0.5 0.5 0 0",
    );
    await fixDataset(folder, join(root, "fixed"));
    expect(readFileSync(join(root, "fixed/train/labels/a.txt"), "utf8").split("\n")).toEqual([
      "0 0.3 0.25 0.3 0.3 0.1 0.1 2",
      expect.stringMatching(/^0 0\.85\d* 0\.85\d* 0\.3\d* 0\.3\d* 0\.2 0\.2 1$/),
      "1 0.1 0.1 0.5 0.2 1 0.6",
      "",
    ]);
    expect(readFileSync(join(root, "fixed/data.yaml"), "utf8")).toContain("kpt_shape");
  });

  it("takes the box of a mask in the scale of its image, and leaves out a mask that does not fit the file", async () => {
    await writeCoco(folder);
    train((c) => {
      const a = first(c);
      a.bbox = undefined;
      a.segmentation = { size: [60, 80], counts: [60 * 12 + 6, 18, 42, 18, 60 * 66 - 24] };
    });
    const [{ images }] = openDatasets(folder, ["train"]);
    expect([...images[0].boxes.subarray(0, 4)]).toEqual([6, 3, 7, 12]);
    const { changes } = await fixDataset(folder, join(root, "fixed"));
    expect(changes).toEqual(["train: 1 mask is left out: its size is not that of the file"]);
  });

  it("never leaves its folder, nor writes over a file, whatever a picture is called", async () => {
    await writeCoco(folder);
    writeFileSync(join(root, "victim.jpg"), "precious");
    const names = ["..\\..\\victim.jpg", ".hidden.jpg", "plain", "new\nline.jpg", "b.jpg_large"];
    for (const [i, name] of names.entries()) {
      await sharp(join(folder, "train/a.jpg"))
        .toFormat("jpeg")
        .toFile(join(folder, "train", "x.jpg"));
      renameSync(join(folder, "train", "x.jpg"), join(folder, "train", name));
      train((c) => {
        c.images.push({ id: 50 + i, file_name: name, ...picture });
        c.annotations.push({ id: 50 + i, image_id: 50 + i, category_id: 7, bbox: [...rectangle] });
      });
    }
    const { fixed } = await fixDataset(folder, join(root, "fixed"));
    expect(fixed.train).toEqual({ images: 7, annotations: 8 });
    convertDataset(folder, join(root, "yolo"), "yolo");
    const [{ images }] = openDatasets(join(root, "yolo"), ["train"]);
    expect([images.length, images.every(({ labels }) => labels.length > 0)]).toEqual([7, true]);
    expect(readFileSync(join(root, "victim.jpg"), "utf8")).toBe("precious");
    await expect(fixDataset(folder, join(folder, "train/fixed"))).rejects.toThrow("outside of the dataset");
  });

  it("leaves out images whose labels are all at fault, and names one; images without labels stay", async () => {
    await writeYolo(folder);
    for (const name of ["c", "d", "e"]) await writePicture(join(folder, `train/images/${name}.jpg`));
    yolo("c", "0 0.5 0.5");
    writeFileSync(join(folder, "train/labels/d.txt"), Buffer.alloc(10e6 + 1, "0"));
    const { fixed, changes } = await fixDataset(folder, join(root, "fixed"));
    expect(changes).toEqual([
      "train: 2 images that have faulty annotations only are left out, not to teach their objects as background: c.jpg and 1 more",
      "train: 1 of 3 annotations is left out",
    ]);
    const [{ images }] = openDatasets(join(root, "fixed"), ["train"]);
    expect([fixed.train?.images, images.some(({ file }) => /[cd]\.jpg$/.test(file))]).toEqual([images.length, false]);
    expect(images.some(({ file, labels }) => file.endsWith("e.jpg") && labels.length === 0)).toBe(true);
  });

  it("keeps category ids that are text", async () => {
    await writeCoco(folder);
    for (const edit of [train, valid])
      edit((c) => {
        c.categories = [
          { id: "x", name: "duck" },
          { id: 1, name: "owl" },
        ];
        for (const a of c.annotations) a.category_id = a.category_id === 3 ? "x" : 1;
        Object.assign(c.annotations[2], { bbox: [0, 0, 50, 30] });
      });
    await fixDataset(folder, join(root, "fixed"));
    const [{ images, classNames }] = openDatasets(join(root, "fixed"), ["train"]);
    expect([...images[0].labels].map((label) => classNames[label])).toEqual(["owl", "duck"]);
    const content = JSON.parse(readFileSync(annotationsOf(join(root, "fixed"), "train"), "utf8")) as Content;
    expect(content.categories.map(({ id }) => id)).toEqual([1, "x"]);
  });

  it("keeps what other tools wrote beside the boxes", async () => {
    await writeCoco(folder);
    train((c) => {
      c.info = { year: 2020 };
      Object.assign(c.images[0], { license: 4 });
      Object.assign(first(c), { attributes: { occluded: true } });
      c.annotations.push({ id: 20, image_id: 1, category_id: 7, bbox: [5, 5, 0, 5] });
    });
    await fixDataset(folder, join(root, "fixed"));
    const content = JSON.parse(readFileSync(annotationsOf(join(root, "fixed"), "train"), "utf8")) as Content;
    expect([
      content.info,
      content.images[0].license,
      content.annotations[0].attributes,
      content.annotations.length,
    ]).toEqual([{ year: 2020 }, 4, { occluded: true }, 3]);
  });

  it("of a YOLO dataset is one, with the lines that are good", async () => {
    await writeYolo(folder);
    writeLabels(folder, "train", "a", ["0 0.3 0.25 0.3 0.3", "0 0.5 0.5", "1 0.9 0.9 0.4 0.4"]);
    truncateSync(join(folder, "train/images/b.jpg"), 300);
    const { fixed } = await fixDataset(folder, join(root, "fixed"));
    expect(fixed).toEqual({ train: { images: 1, annotations: 2 }, valid: { images: 2, annotations: 2 } });
    const [{ layout, images, classNames }] = openDatasets(join(root, "fixed"), ["train"]);
    expect([layout, classNames]).toEqual(["yolo", ["cat", "dog"]]);
    [6, 3, 18, 12, 28, 21, 40, 30].forEach((corner, i) => expect(images[0].boxes[i]).toBeCloseTo(corner, 4));
  });

  it("is never half there, and never written over something", async () => {
    await writeCoco(folder);
    mkdirSync(join(root, "fixed"));
    await expect(fixDataset(folder, join(root, "fixed"))).rejects.toThrow("does not exist yet");
    writeFileSync(join(root, "file"), "");
    await expect(fixDataset(folder, join(root, "file/fixed"))).rejects.toThrow(/cannot be written|a part of it/);
  });
});
