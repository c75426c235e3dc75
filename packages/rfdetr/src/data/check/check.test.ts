// What `data check` finds, what training does about it, and what the repaired copy holds. The three never disagree:
// they read a dataset in one way.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type Mask, maskBox } from "../../masks/mask.js";
import {
  annotationsOf,
  type Content,
  editCoco,
  picture,
  rectangle,
  writeCoco,
  writeLabels,
  writePicture,
  writeYolo,
} from "../../testing/dataset-files.js";
import { convertDataset } from "../convert/convert-dataset.js";
import { openDatasets } from "../open-dataset.js";
import { checkDataset } from "./check-dataset.js";
import { checks } from "./checks.js";
import { checkRepair, fixDataset } from "./fix-dataset.js";

let root = "";
let folder = "";
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "check-"));
  folder = join(root, "data");
});
afterEach(() => rmSync(root, { recursive: true }));

const train = (change: (content: Content) => void): void => editCoco(folder, "train", change);
const valid = (change: (content: Content) => void): void => editCoco(folder, "valid", change);
const first = (content: Content): Record<string, unknown> => content.annotations[0];

/** The findings about faults. */
async function faults(path = folder, options = {}) {
  const names = new Set(checks.map(({ name }) => name));
  return (await checkDataset(path, options)).findings.filter(({ check }) => names.has(check));
}

/** Faults as `split check: effect`, with the number of those that repeat. */
async function found(options = {}): Promise<string[]> {
  const lines = (await faults(folder, options)).map(({ split, check, training }) => `${split} ${check}: ${training}`);
  return [...new Set(lines)].map((line) => {
    const count = lines.filter((each) => each === line).length;
    return count === 1 ? line : `${line} ×${count}`;
  });
}

/** Whether a run would start. */
function starts(options = {}): boolean {
  try {
    openDatasets(folder, ["train", "valid"], options);
    return true;
  } catch {
    return false;
  }
}

/** A kind of fault: how it comes about, what is found, and whether a copy without it can be written. */
type Kind = [what: string, make: () => unknown, findings: string[], fixable?: boolean];

const cocoKinds: Kind[] = [
  ["nothing wrong", () => {}, []],
  [
    "a broken file",
    () => writeFileSync(annotationsOf(folder, "train"), '{"images": ['),
    ["train broken annotations: refused"],
    false,
  ],
  [
    "a missing list",
    () => valid((c) => Reflect.deleteProperty(c, "annotations")),
    ["valid broken annotations: refused", "valid images without annotations: kept ×2", "valid no annotations: kept"],
    false,
  ],
  ["no train split", () => rmSync(join(folder, "train"), { recursive: true }), ["train missing split: refused"], false],
  ["no valid split", () => rmSync(join(folder, "valid"), { recursive: true }), ["valid missing split: refused"]],
  [
    "no entries",
    () => train((c) => c.images.splice(0) && c.annotations.splice(0)),
    ["train no images: refused", "train no annotations: refused"],
    false,
  ],
  [
    "no annotations to learn from",
    () => train((c) => c.annotations.splice(0)),
    ["train images without annotations: kept ×2", "train no annotations: refused"],
    false,
  ],
  [
    "no annotations to evaluate on",
    () => valid((c) => c.annotations.splice(0)),
    ["valid images without annotations: kept ×2", "valid no annotations: kept"],
  ],
  [
    "crowds only",
    () => train((c) => c.annotations.forEach((a) => Object.assign(a, { iscrowd: 1 }))),
    ["train no annotations: refused"],
    false,
  ],
  [
    "crowds as true",
    () => train((c) => c.annotations.forEach((a) => Object.assign(a, { iscrowd: true }))),
    ["train no annotations: refused"],
    false,
  ],
  ["an image that is null", () => train((c) => c.images.push(null as never)), ["train malformed entries: refused"]],
  [
    "an annotation that is null",
    () => train((c) => c.annotations.push(null as never)),
    ["train malformed entries: refused"],
  ],
  [
    "a category that is null",
    () => train((c) => c.categories.push(null as never)),
    ["train malformed entries: refused"],
  ],
  ["a category without a name", () => train((c) => c.categories.push({ id: 9 })), ["train malformed entries: refused"]],
  [
    "an image without a file name",
    () => train((c) => c.images.push({ id: 3, ...picture })),
    ["train malformed entries: refused"],
  ],
  [
    "an image without an id",
    () => train((c) => c.images.push({ file_name: "a.jpg", ...picture })),
    ["train malformed entries: refused"],
  ],
  [
    "an iscrowd that is neither",
    () => train((c) => Object.assign(first(c), { iscrowd: "yes" })),
    ["train malformed entries: refused"],
  ],
  [
    "ids as text",
    () =>
      train((c) =>
        [...c.images, ...c.annotations, ...c.categories].forEach((e) => Object.assign(e, { id: String(e.id) })),
      ),
    [],
  ],
  [
    "two images of one id",
    () => train((c) => c.images.push({ ...c.images[1], id: 1 })),
    [
      "train duplicate image ids: refused",
      "train duplicate file names: kept",
      "train images without annotations: kept",
    ],
  ],
  [
    "two categories of one id",
    () => train((c) => c.categories.push({ id: 3, name: "crow" })),
    ["train duplicate category ids: refused"],
    false,
  ],
  [
    "two annotations of one id",
    () => train((c) => Object.assign(c.annotations[1], { id: 10 })),
    ["train duplicate annotation ids: kept"],
  ],
  [
    "two used classes of one name",
    () => [train, valid].forEach((edit) => edit((c) => Object.assign(c.categories[1], { name: "duck" }))),
    ["train classes of one name: refused"],
  ],
  [
    "a missing file",
    () => train((c) => c.images.push({ id: 3, file_name: "gone.jpg", ...picture })),
    ["train missing files: refused", "train images without annotations: kept"],
  ],
  [
    "a file outside",
    () => train((c) => Object.assign(c.images[0], { file_name: "../../../../../../../../dev/zero" })),
    ["train missing files: refused"],
  ],
  [
    "a device as an image",
    () => {
      rmSync(join(folder, "train/a.jpg"));
      symlinkSync("/dev/zero", join(folder, "train/a.jpg"));
    },
    ["train unreadable images: refused"],
  ],
  [
    "a picture of too many pixels",
    () => {
      const header = Buffer.alloc(33);
      header.write("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "latin1");
      header.writeUInt32BE(20_000, 16);
      header.writeUInt32BE(15_000, 20);
      header.set([8, 2], 24);
      writeFileSync(join(folder, "train/b.jpg"), header);
    },
    ["train unreadable images: refused"],
  ],
  ["a cut-off picture", () => truncateSync(join(folder, "train/b.jpg"), 300), ["train undecodable images: repaired"]],
  [
    "no size",
    () => train((c) => Reflect.deleteProperty(c.images[0], "width")),
    ["train images without a size: repaired"],
  ],
  [
    "a size of 0",
    () => train((c) => Object.assign(c.images[0], { width: 0, height: 0 })),
    ["train images without a size: repaired"],
  ],
  [
    "another scale",
    () =>
      train((c) => {
        Object.assign(c.images[0], { width: 80, height: 60 });
        for (const a of c.annotations.slice(0, 2)) a.bbox = (a.bbox as number[]).map((v) => Math.floor(v) * 2);
      }),
    ["train wrong image sizes: repaired"],
  ],
  [
    "another shape",
    () => train((c) => Object.assign(c.images[0], { width: 30, height: 40 })),
    ["train images of another shape: refused", "train empty boxes: repaired"],
  ],
  [
    "a picture that its EXIF tag turns",
    async () => {
      const path = join(folder, "train/a.jpg");
      writeFileSync(path, await sharp(path).withMetadata({ orientation: 3 }).toBuffer());
    },
    ["train turned pictures: kept"],
  ],
  ["an image without objects", () => train((c) => c.annotations.pop()), ["train images without annotations: kept"]],
  [
    "an unknown image",
    () => train((c) => Object.assign(first(c), { image_id: 50 })),
    ["train annotations of unknown images: refused"],
  ],
  [
    "an unknown category",
    () => train((c) => Object.assign(first(c), { category_id: 42 })),
    ["train unknown categories: refused"],
  ],
  [
    "a class that only valid has",
    () =>
      valid((c) => {
        c.categories.push({ id: 9, name: "crow" });
        first(c).category_id = 9;
      }),
    ["valid unknown categories: refused"],
  ],
  [
    "the grouping category on an image of valid",
    () =>
      [train, valid].forEach((edit) =>
        edit((c) => {
          c.categories = [{ id: 0, name: "bird" }, ...c.categories.map((k) => ({ ...k, supercategory: "bird" }))];
          if (edit === valid) first(c).category_id = 0;
        }),
      ),
    ["valid unknown categories: refused"],
  ],
  [
    "other numbers in valid",
    () =>
      valid((c) => {
        c.categories.reverse().forEach((k, i) => Object.assign(k, { id: i }));
        c.annotations.forEach((a) => Object.assign(a, { category_id: a.category_id === 7 ? 0 : 1 }));
      }),
    ["valid classes joined by name: kept ×2"],
  ],
  [
    "three numbers as a box",
    () => train((c) => Object.assign(first(c), { bbox: [1, 2, 3] })),
    ["train malformed boxes: refused"],
  ],
  [
    "text as a box",
    () => train((c) => Object.assign(first(c), { bbox: ["1", "2", "3", "4"] })),
    ["train malformed boxes: refused"],
  ],
  [
    "NaN in a box",
    () =>
      writeFileSync(
        annotationsOf(folder, "train"),
        readFileSync(annotationsOf(folder, "train"), "utf8").replace("[6,", "[NaN,"),
      ),
    ["train malformed boxes: refused"],
  ],
  [
    "a polygon and no box",
    () =>
      train((c) => {
        const a = first(c);
        a.segmentation = [[6, 3, 18, 3, 18, 12, 6, 12]];
        a.bbox = [];
      }),
    ["train boxes from outlines: repaired"],
  ],
  [
    "a mask and no box",
    () =>
      train((c) => {
        const a = first(c);
        a.segmentation = { size: [30, 40], counts: [100, 5, 25, 5, 1065] };
        a.bbox = undefined;
      }),
    ["train boxes from outlines: repaired"],
  ],
  [
    "an area that is text",
    () => train((c) => Object.assign(first(c), { area: "big" })),
    ["train malformed areas: repaired"],
  ],
  [
    "a box of no width",
    () => train((c) => Object.assign(first(c), { bbox: [5, 5, 0, 5] })),
    ["train empty boxes: repaired"],
  ],
  [
    "a box of negative size",
    () => train((c) => Object.assign(first(c), { bbox: [15, 15, -5, -5] })),
    ["train empty boxes: repaired"],
  ],
  [
    "a box beside the image",
    () => train((c) => Object.assign(first(c), { bbox: [50, 5, 5, 5] })),
    ["train empty boxes: repaired"],
  ],
  [
    "a box over the edge",
    () => train((c) => Object.assign(first(c), { bbox: [35, 5, 15, 5] })),
    ["train boxes outside the image: repaired"],
  ],
  [
    "negative sizes everywhere",
    () => train((c) => c.annotations.forEach((a) => Object.assign(a, { bbox: [15, 15, -5, -5] }))),
    ["train empty boxes: repaired ×3", "train no annotations: refused"],
    false,
  ],
  [
    "fractions",
    () => train((c) => c.annotations.forEach((a) => Object.assign(a, { bbox: [0.1, 0.1, 0.5, 0.5] }))),
    ["train boxes that look like fractions: refused"],
    false,
  ],
  [
    "corners",
    () => train((c) => c.annotations.forEach((a) => Object.assign(a, { bbox: [20, 10, 38, 28] }))),
    ["train boxes that look like corners: refused", "train boxes outside the image: repaired ×3"],
    false,
  ],
  [
    "a name with escapes",
    () => train((c) => Object.assign(c.images[0], { file_name: "%61.jpg" })),
    ["train names in another spelling: kept"],
  ],
];

const yolo = (name: string, ...lines: string[]): void => writeLabels(folder, "train", name, lines);

const yoloKinds: Kind[] = [
  ["nothing wrong", () => {}, []],
  ["a line with a word", () => yolo("a", "cat 0.3 0.25 0.3 0.3"), ["train malformed labels: refused"]],
  ["too few numbers", () => yolo("a", "0 0.3 0.25 0.3"), ["train malformed labels: refused"]],
  ["a confidence", () => yolo("a", "0 0.3 0.25 0.3 0.3 0.9"), ["train malformed labels: refused"]],
  ["a class that has no name", () => yolo("a", "5 0.3 0.25 0.3 0.3"), ["train unknown categories: refused"]],
  ["pixels", () => yolo("a", "0 12 7 12 9"), ["train labels that are no fractions: refused"]],
  ["percent", () => yolo("a", "0 50 50 20 20"), ["train labels that are no fractions: refused"]],
  ["a box wider than the image", () => yolo("a", "0 0.5 0.5 1.3 0.2"), ["train boxes outside the image: repaired"]],
  ["a box of no size", () => yolo("a", "0 0.5 0.5 0 0.2"), ["train empty boxes: repaired"]],
  ["a negative size", () => yolo("a", "0 0.5 0.5 -0.3 -0.2"), ["train empty boxes: repaired"]],
  [
    "no labels folder",
    () => rmSync(join(folder, "train/labels"), { recursive: true }),
    ["train images without annotations: kept ×2", "train no annotations: refused"],
    false,
  ],
  ["a label without its image", () => yolo("z", "0 0.5 0.5 0.2 0.2"), ["train labels without an image: kept"]],
  [
    "an image without labels",
    () => rmSync(join(folder, "train/labels/a.txt")),
    ["train images without annotations: kept"],
  ],
  [
    "two classes of one name",
    () => writeFileSync(join(folder, "data.yaml"), "names: [cat, cat]\n"),
    ["train classes of one name: refused"],
  ],
  [
    "another number of classes",
    () => writeFileSync(join(folder, "data.yaml"), "nc: 3\nnames: [cat, dog]\n"),
    ["train contradictions: kept"],
  ],
  [
    "labels that count classes from 1",
    () => {
      yolo("a", "1 0.3 0.25 0.3 0.3");
      yolo("b", "2 0.3 0.25 0.3 0.3");
    },
    ["train classes numbered from 1: refused", "train unknown categories: refused"],
    false,
  ],
  [
    "a class without a name",
    () => yolo("a", ...Array(3).fill("5 0.3 0.25 0.3 0.3")),
    ["train unknown categories: refused ×3"],
    false,
  ],
  [
    "a path that is not there",
    () => writeFileSync(join(folder, "data.yaml"), "path: /nowhere/birds\nnames: [cat, dog]\n"),
    ["train contradictions: kept"],
  ],
  [
    "names numbered from 1",
    () => writeFileSync(join(folder, "data.yaml"), "names: {1: cat, 2: dog}\n"),
    ["train broken annotations: refused", "valid broken annotations: refused"],
    false,
  ],
  [
    "no valid split",
    () => rmSync(join(folder, "valid"), { recursive: true }),
    ["valid broken annotations: refused"],
    false,
  ],
  [
    "two images with one label file",
    () => writePicture(join(folder, "train/images/a.png"), "#00ff00"),
    ["train labels of two images: kept"],
  ],
  ["a folder called like a picture", () => mkdirSync(join(folder, "train/images/x.jpg")), []],
  ["twins of macOS", () => writeFileSync(join(folder, "train/images/._a.jpg"), "no picture"), []],
  [
    "HEIC files",
    () => writeFileSync(join(folder, "train/images/c.heic"), "no picture"),
    ["train images of other kinds: kept"],
  ],
];

/** A dataset of which every object has a triangle. */
async function writeOutlined(): Promise<void> {
  await writeCoco(folder);
  for (const split of ["train", "valid"])
    editCoco(folder, split, ({ annotations }) => {
      for (const annotation of annotations) {
        const [x, y, w, h] = annotation.bbox as number[];
        annotation.segmentation = [[x, y, x + w, y, x, y + h]];
      }
    });
}
const segment = (segmentation: unknown): void => train((c) => Object.assign(first(c), { segmentation }));
/** The runs of a mask of one column, filled from a tenth to four tenths of its height. */
const column = (height: number, width: number) => ({
  size: [height, width],
  counts: [height * 7.1, height * 0.3, height * (width - 7.4)].map(Math.round),
});

const outlineKinds: Kind[] = [
  ["nothing wrong", () => {}, []],
  ["a mask as numbers", () => segment(column(30, 40)), []],
  ["a polygon that is a text", () => segment(["1,2,3"]), ["train malformed outlines: refused"]],
  ["a polygon of odd numbers", () => segment([[6, 3, 18, 3, 18, 12, 5]]), ["train malformed outlines: refused"]],
  [
    "a polygon with a hole in its numbers",
    () => segment([[6, 3, null, 3, 18, 12]]),
    ["train malformed outlines: refused"],
  ],
  [
    "runs that do not fill their image",
    () => segment({ size: [30, 40], counts: [9, 9] }),
    ["train malformed outlines: refused"],
  ],
  ["a mask of another shape", () => segment(column(40, 30)), ["train malformed outlines: refused"]],
  [
    "an image of more pixels than masks have",
    () => train((c) => Object.assign(c.images[1], { width: 80000, height: 60000 })),
    ["train wrong image sizes: repaired", "train malformed outlines: refused"],
  ],
  ["a mask of another scale", () => segment(column(60, 80)), ["train masks of another scale: repaired"]],
  ["no outline", () => segment(undefined), ["train objects without outlines: repaired"]],
  ["an empty list", () => segment([]), ["train objects without outlines: repaired"]],
  ["a line", () => segment([[6, 3, 18, 12]]), ["train objects without outlines: repaired"]],
  ["points on a line", () => segment([[6, 3, 9, 6, 12, 9]]), ["train objects without outlines: repaired"]],
  [
    "a triangle of a tenth of a pixel",
    () => segment([[6.1, 3.1, 6.2, 3.1, 6.2, 3.2]]),
    ["train objects without outlines: repaired"],
  ],
  [
    "a triangle of a tenth of a pixel in its box",
    () => {
      segment([[6.1, 3.1, 6.2, 3.1, 6.2, 3.2]]);
      train((c) => Object.assign(first(c), { bbox: [6.1, 3.1, 0.1, 0.1] }));
    },
    ["train objects without outlines: repaired"],
  ],
  [
    "a polygon outside of its image",
    () => segment([[100, 100, 120, 100, 120, 120]]),
    ["train objects without outlines: repaired", "train outlines outside their boxes: kept"],
  ],
  [
    "a polygon that goes around twice",
    () => segment([[6, 3, 18, 3, 18, 12, 6, 3, 18, 3, 18, 12]]),
    ["train objects without outlines: repaired"],
  ],
  ["an empty mask", () => segment({ size: [30, 40], counts: [1200] }), ["train objects without outlines: repaired"]],
  [
    "boxes only",
    () => train((c) => c.annotations.forEach((annotation) => Reflect.deleteProperty(annotation, "segmentation"))),
    ["train no outlines: refused"],
    false,
  ],
  [
    "an outline of another object",
    () => segment([[25, 3, 35, 3, 35, 12]]),
    ["train outlines outside their boxes: kept"],
  ],
];

describe.each([
  ["COCO", writeCoco, cocoKinds, {}],
  ["YOLO", writeYolo, yoloKinds, {}],
  ["segmentation", writeOutlined, outlineKinds, { masks: true }],
] as const)("data check of a %s dataset", (_, write, kinds, options) => {
  it.each(kinds)(
    "finds %s; training agrees, and the repaired copy is without",
    async (_what, make, findings, fixable = true) => {
      await write(folder);
      await make();
      expect(await found(options)).toEqual(findings);
      const refused = findings.some((line) => line.includes(": refused"));
      expect(starts(options)).toBe(!refused);
      expect((await checkDataset(folder, options)).ok).toBe(!refused);
      const { beyondRepair } = await checkRepair(folder, options);
      expect(beyondRepair).toEqual(fixable ? null : expect.stringContaining("cannot be repaired: "));
      const target = join(root, "fixed");
      if (!fixable) {
        await expect(fixDataset(folder, target, options)).rejects.toThrow("cannot be repaired: ");
        expect(existsSync(target)).toBe(false);
        return;
      }
      await fixDataset(folder, target, options);
      const left = (await faults(target, options)).filter(({ training }) => training !== "kept");
      // What is not there cannot be repaired.
      expect(left.filter(({ check }) => check !== "missing split")).toEqual([]);
    },
  );
});

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
      "train: 1 of 3 annotations are left out",
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
    expect(remarks[1].message).toBe("train/a.jpg, valid/a.jpg are the same file");
    const fast = await checkDataset(folder, { decode: false });
    expect(fast.findings.some(({ check }) => check === "pictures in several splits")).toBe(false);
  });

  it("has a different name for each check, and a case above", () => {
    const names = checks.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    const shown = [...cocoKinds, ...yoloKinds, ...outlineKinds].flatMap(([, , findings]) => findings).join("\n");
    expect(names.filter((name) => !shown.includes(` ${name}: `))).toEqual([]);
  });
});

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
    expect(changes).toEqual(["train: 1 objects without an outline get the rectangle of their box"]);
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
    expect(changes).toEqual(["train: 1 masks are left out: their size is not that of the file"]);
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

  it("numbers categories anew where an id is text", async () => {
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
