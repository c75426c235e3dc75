// What can be wrong with annotations of COCO.
import { readFileSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { first, folder, type Kind, train, valid } from "../checked-dataset.js";
import { annotationsOf, picture } from "../dataset-files.js";

export const splitFaults: Kind[] = [
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
];

export const entryFaults: Kind[] = [
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
];

export const imageFaults: Kind[] = [
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
    "a name with escapes",
    () => train((c) => Object.assign(c.images[0], { file_name: "%61.jpg" })),
    ["train names in another spelling: kept"],
  ],
];

export const classFaults: Kind[] = [
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
];

export const boxFaults: Kind[] = [
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
];
