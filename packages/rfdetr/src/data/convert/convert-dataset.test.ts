import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import sharp from "sharp";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { encodeMask } from "../../masks/mask.js";
import { annotationsOf, type Content, writeCoco, writePicture, writeYolo } from "../../testing/dataset-files.js";
import { checkDataset } from "../check/check-dataset.js";
import { openDataset } from "../open-dataset.js";
import { regionMasks } from "../region-masks.js";
import { convertDataset } from "./convert-dataset.js";
import { turnBox } from "./to-yolo.js";

let root = "";
let folder = "";
const path = (name: string): string => join(root, name);
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "convert-"));
  folder = path("data");
});
afterEach(() => rmSync(root, { recursive: true }));

const read = (dataset: string, split: string): Content =>
  JSON.parse(readFileSync(annotationsOf(dataset, split), "utf8"));

/** Writes a train split of one annotation file. */
function writeTrain(content: Content): void {
  mkdirSync(join(folder, "train"), { recursive: true });
  writeFileSync(annotationsOf(folder, "train"), JSON.stringify(content));
}

describe("from COCO to YOLO and back", () => {
  it("keeps every box to a ten-thousandth of a pixel, its class and its image", async () => {
    await writePicture(join(folder, "train", "a.jpg"), "#f00", { width: 641, height: 479 });
    const box = fc.tuple(
      fc.double({ min: 0, max: 600 }),
      fc.double({ min: 0, max: 400 }),
      fc.double({ min: 2, max: 40 }),
      fc.double({ min: 0.01, max: 78 }),
      fc.nat({ max: 2 }),
    );
    const finite = box.filter((numbers) => numbers.every(Number.isFinite));
    fc.assert(
      fc.property(fc.array(finite, { minLength: 1, maxLength: 20 }), (boxes) => {
        const annotations = boxes.map(([x, y, w, h, label], id) => ({
          id,
          image_id: 5,
          category_id: [9, 2, 30][label],
          bbox: [x, y, w, h],
        }));
        const categories = [
          { id: 9, name: "nine" },
          { id: 2, name: "two" },
          { id: 30, name: "thirty" },
        ];
        writeTrain({ images: [{ id: 5, file_name: "a.jpg", width: 641, height: 479 }], annotations, categories });
        const [yolo, coco] = [path("yolo"), path("coco")];
        for (const each of [yolo, coco]) rmSync(each, { recursive: true, force: true });
        convertDataset(folder, yolo, "yolo");
        convertDataset(yolo, coco, "coco");
        const back = read(coco, "train");
        const nameOf = (content: Content, id: unknown) => content.categories.find((each) => each.id === id)?.name;
        expect(back.annotations).toHaveLength(annotations.length);
        for (const [i, { bbox, category_id: category }] of annotations.entries()) {
          expect(nameOf(back, back.annotations[i].category_id)).toBe(nameOf(read(folder, "train"), category));
          bbox.forEach((number, k) =>
            expect(Math.abs((back.annotations[i].bbox as number[])[k] - number)).toBeLessThan(1e-4),
          );
        }
      }),
      { numRuns: 30 },
    );
  });

  it("gives the same dataset to training", async () => {
    await writeCoco(folder);
    const { remarks, losses } = convertDataset(folder, path("yolo"), "yolo");
    expect(losses).toEqual([]);
    expect(remarks).toEqual(["the category ids 3, 7 are now 0 to 1"]);
    expect(convertDataset(path("yolo"), path("coco"), "coco")).toMatchObject({ losses: [], remarks: [] });
    expect((await checkDataset(path("yolo"))).ok).toBe(true);
    expect((await checkDataset(path("coco"))).ok).toBe(true);
    for (const split of ["train", "valid"] as const) {
      const before = openDataset(folder, split);
      for (const name of ["yolo", "coco"]) {
        const after = openDataset(path(name), split);
        expect(after.classNames).toEqual(before.classNames);
        expect(after.images.map(({ labels }) => [...labels])).toEqual(before.images.map(({ labels }) => [...labels]));
        for (const [i, { boxes }] of before.images.entries())
          boxes.forEach((corner, k) => expect(after.images[i].boxes[k]).toBeCloseTo(corner, 4));
      }
    }
  });
});

describe("to YOLO", () => {
  it("quotes the names of classes, because readers of YAML 1.1 take some for other values", async () => {
    await writeCoco(folder);
    for (const split of ["train", "valid"]) {
      const content = read(folder, split);
      content.categories.forEach((category, i) => {
        category.name = ["no", "12:30"][i];
      });
      writeFileSync(annotationsOf(folder, split), JSON.stringify(content));
    }
    convertDataset(folder, path("yolo"), "yolo");
    expect(readFileSync(join(path("yolo"), "data.yaml"), "utf8")).toBe(
      'train: train/images\nval: valid/images\nnc: 2\nnames:\n  - "no"\n  - "12:30"\n',
    );
    expect(openDataset(path("yolo"), "train").classNames).toEqual(["no", "12:30"]);
  });

  it("names images that lose all their annotations", async () => {
    await writePicture(join(folder, "train", "a.jpg"));
    await writePicture(join(folder, "train", "b.jpg"));
    const size = { width: 40, height: 30 };
    writeTrain({
      images: [
        { id: 1, file_name: "a.jpg", ...size },
        { id: 2, file_name: "b.jpg", ...size },
      ],
      categories: [{ id: 0, name: "cat" }],
      annotations: [
        { id: 1, image_id: 1, category_id: 0, bbox: [1, 1, 10, 10], iscrowd: 1 },
        { id: 2, image_id: 2, category_id: 0, bbox: [1, 1, 10, 10] },
      ],
    });
    expect(convertDataset(folder, path("yolo"), "yolo").losses).toContain(
      "1 × images lose all their annotations: training takes them for background",
    );
  });

  it("names what it has no place for", async () => {
    await writePicture(join(folder, "train", "a.jpg"));
    const box = { image_id: 1, category_id: 0, bbox: [1, 1, 10, 10] };
    writeTrain({
      images: [{ id: 1, file_name: "a.jpg", width: 40, height: 30 }],
      categories: [{ id: 0, name: "cat" }],
      annotations: [
        { id: 1, ...box, iscrowd: 1, segmentation: { size: [30, 40], counts: [0, 9] } },
        { id: 2, ...box, segmentation: [["1, 1, 11, 1, 11, 11"]], area: 50, keypoints: [1, 2, 2] },
        { id: 3, ...box, segmentation: [], area: 100 },
        { id: 4, ...box, bbox: [35, 1, 10, 10] },
        { id: 5, ...box, bbox: [5, 5, 0, 4] },
      ],
    });
    const { splits, losses, from } = convertDataset(folder, path("yolo"), "yolo");
    expect([from, splits]).toEqual(["roboflow-coco", { train: { images: 1, annotations: 3 } }]);
    expect(losses.sort()).toEqual([
      "1 × areas are left out: YOLO has none, and the area of the box counts",
      "1 × boxes that leave their image are clipped",
      "1 × crowd regions are left out: YOLO has none",
      "1 × empty boxes are left out",
      "1 × outlines that cannot be read are left out: the boxes are written",
      "1 × values of keypoints are left out: YOLO has no place for them",
    ]);
  });

  it("writes outlines as polygons, which give the same masks", async () => {
    await writePicture(join(folder, "train", "a.jpg"));
    const ring = Array.from({ length: 30 * 40 }, (_, i) => {
      const [x, y] = [i % 40, Math.floor(i / 40)];
      const inside = (from: number, to: number) => x >= from && x < to && y >= from && y < to;
      return (inside(2, 20) && !inside(6, 12)) || (x > 30 && y > 5 && y < 9) ? 1 : 0;
    });
    const parts = [
      [3, 3, 12.5, 4, 8, 11],
      [20, 15, 30, 15, 25, 28.25],
    ];
    const of = (id: number, bbox: number[], segmentation: unknown) => ({
      ...{ id, image_id: 1, category_id: 0, area: bbox[2] * bbox[3] },
      ...{ bbox, segmentation },
    });
    writeTrain({
      images: [{ id: 1, file_name: "a.jpg", width: 40, height: 30 }],
      categories: [{ id: 0, name: "cat" }],
      annotations: [
        of(1, [2, 2, 38, 18], toCocoRuns(encodeMask(ring, 30, 40))),
        of(2, [3, 3, 27, 25.25], parts),
        of(3, [3, 3, 20, 20], [parts[0]]),
        of(4, [3, 3, 9, 9], undefined),
        of(6, [20, 0, 20, 20], [[20, -30, 70, 10, 20, 20]]),
        of(
          5,
          [2, 2, 12, 12],
          [
            [2, 2, 10, 2, 10, 10, 2, 10],
            [6, 6, 14, 6, 14, 14, 6, 14],
          ],
        ),
      ],
    });
    const { losses } = convertDataset(folder, path("yolo"), "yolo");
    expect(losses).toEqual(["1 × boxes are now those around their outlines, since YOLO states the outline alone"]);
    convertDataset(path("yolo"), path("coco"), "coco");
    const masksOf = (dataset: string) => {
      const [{ images }] = [openDataset(dataset, "train", { masks: true })];
      expect(images[0].outlines?.[3]).toBeNull();
      return regionMasks(images[0], 30, 40);
    };
    const before = masksOf(folder);
    expect(before?.[0]).toEqual(encodeMask(ring, 30, 40));
    expect(masksOf(path("yolo"))).toEqual(before);
    expect(masksOf(path("coco"))).toEqual(before);
  });

  it.each([
    ["lies outside of its image", [100, 100, 120, 100, 120, 120]],
    ["is a line", [3, 3, 6, 6, 9, 9]],
    ["is smaller than a pixel", [3, 3, 3.1, 3, 3.1, 3.1]],
    ["lies on the edge", [-0.4, 5, -0.1, 5, -0.1, 9]],
  ])("writes the box of an object whose outline %s", async (_, polygon) => {
    await writePicture(join(folder, "train", "a.jpg"));
    writeTrain({
      images: [{ id: 1, file_name: "a.jpg", width: 40, height: 30 }],
      categories: [{ id: 0, name: "cat" }],
      annotations: [{ id: 1, image_id: 1, category_id: 0, bbox: [4, 3, 8, 6], segmentation: [polygon] }],
    });
    expect(convertDataset(folder, path("yolo"), "yolo").losses).toEqual([
      "1 × outlines that enclose no pixel of their image are left out: the boxes are written",
    ]);
    const [{ boxes }] = openDataset(path("yolo"), "train").images;
    [4, 3, 12, 9].forEach((corner, i) => expect(boxes[i]).toBeCloseTo(corner, 4));
  });

  it("keeps sub-folders and tells names apart that differ in extension or case only", async () => {
    const files = ["x/a.jpg", "x/a.png", "y/a.jpg", "x/A.jpg"];
    for (const file of files) await writePicture(join(folder, "train", file));
    writeTrain({
      images: files.map((file_name, id) => ({ id, file_name, width: 40, height: 30 })),
      categories: [{ id: 0, name: "cat" }],
      annotations: files.map((_, id) => ({ id, image_id: id, category_id: 0, bbox: [id, 1, 10, 10] })),
    });
    convertDataset(folder, path("yolo"), "yolo");
    const boxes = new Map(
      openDataset(path("yolo"), "train").images.map(({ file, boxes: [left] }) => [
        file.split("images/")[1],
        Math.round(left),
      ]),
    );
    expect([...boxes].sort()).toEqual(
      [
        ["x/A-3.jpg", 3],
        ["x/a-2.png", 1],
        ["x/a.jpg", 0],
        ["y/a.jpg", 2],
      ].sort(),
    );
  });

  it("turns boxes of pictures that are annotated as they are stored, because readers of YOLO turn the pictures", async () => {
    mkdirSync(join(folder, "train"), { recursive: true });
    await sharp({ create: { width: 40, height: 30, channels: 3, background: "#888" } })
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toFile(join(folder, "train", "a.jpg"));
    const image = { id: 1, file_name: "a.jpg" };
    const annotation = { id: 1, image_id: 1, category_id: 0, bbox: [4, 3, 8, 6], segmentation: [[4, 3, 12, 3, 4, 9]] };
    writeTrain({
      images: [{ ...image, width: 40, height: 30 }],
      annotations: [annotation],
      categories: [{ id: 0, name: "cat" }],
    });
    const { losses } = convertDataset(folder, path("yolo"), "yolo");
    expect(losses).toEqual([expect.stringContaining("1 × images are annotated as they are stored")]);
    const [{ width, height, boxes, orientation }] = openDataset(path("yolo"), "train").images;
    expect([width, height, orientation]).toEqual([30, 40, 6]);
    // Orientation 6: the stored left edge is on top, the stored top edge on the right.
    [21, 4, 27, 12].forEach((corner, i) => expect(boxes[i]).toBeCloseTo(corner, 4));
    const [{ outlines }] = openDataset(path("yolo"), "train", { masks: true }).images;
    const [polygon] = ((outlines ?? [])[0] as { polygons: Float64Array[] }).polygons;
    [27, 4, 27, 12, 21, 4].forEach((number, i) => expect(polygon[i]).toBeCloseTo(number, 4));
  });

  it.each([1, 2, 3, 4, 5, 6, 7, 8])(
    "turns boxes of orientation %i as the decoder turns pixels",
    async (orientation) => {
      const { orient } = await import("../images/orientation.js");
      const data = new Uint8Array(8 * 4 * 3);
      for (let y = 1; y < 3; y++) for (let x = 1; x < 6; x++) data[(y * 8 + x) * 3] = 255;
      const turned = orient({ data, width: 8, height: 4 }, orientation);
      const [left, top, right, bottom] = turnBox([1 / 8, 1 / 4, 6 / 8, 3 / 4], orientation);
      for (let y = 0; y < turned.height; y++)
        for (let x = 0; x < turned.width; x++) {
          const inside =
            x >= left * turned.width &&
            x < right * turned.width &&
            y >= top * turned.height &&
            y < bottom * turned.height;
          expect(turned.data[(y * turned.width + x) * 3]).toBe(inside ? 255 : 0);
        }
    },
  );
});

describe("to COCO", () => {
  it("keeps polygons and names key points", async () => {
    await writeYolo(folder);
    const labels = join(folder, "train", "labels", "a.txt");
    writeFileSync(labels, "0 0.1 0.2 0.5 0.2 0.3 0.8\n");
    convertDataset(folder, path("coco"), "coco");
    const [annotation] = read(path("coco"), "train").annotations;
    expect(annotation).toMatchObject({ category_id: 1, segmentation: [[4, 6, 20, 6, 12, 24]] });
    // The pixels of the triangle, as pycocotools counts them; its box has 288.
    expect(annotation.area).toBe(144);
    expect(read(path("coco"), "train").annotations.map(({ id }) => id)).toEqual([1, 2]);
    (annotation.bbox as number[]).forEach((number, i) => expect(number).toBeCloseTo([4, 6, 16, 18][i], 6));
    writeFileSync(labels, "0 0.3 0.5 0.2 0.2 0.3 0.8\n");
    writeFileSync(
      join(folder, "data.yaml"),
      "train: train/images\nval: valid/images\nnames: [cat, dog]\nkpt_shape: [1, 2]\n",
    );
    expect(convertDataset(folder, path("points"), "coco").losses).toEqual([
      "1 × labels have key points, which are left out",
    ]);
    expect(read(path("points"), "train").annotations[0].segmentation).toBeUndefined();
  });

  it("names key points of any number, also where they lie in the box", async () => {
    await writeYolo(folder);
    writeFileSync(join(folder, "data.yaml"), "kpt_shape: [2, 2]\nnames: [cat, dog]\n");
    writeFileSync(join(folder, "train", "labels", "a.txt"), "0 0.5 0.5 0.5 0.5 0.25 0.25 0.75 0.75\n");
    const { losses } = convertDataset(folder, path("coco"), "coco");
    expect(losses).toEqual(["1 × labels have key points, which are left out"]);
    expect(read(path("coco"), "train").annotations[0].segmentation).toBeUndefined();
  });

  it("takes a folder without splits as a train split", async () => {
    await writePicture(join(folder, "images", "a.jpg"));
    mkdirSync(join(folder, "labels"));
    writeFileSync(join(folder, "labels", "a.txt"), "0 0.5 0.5 0.5 0.5\n");
    writeFileSync(join(folder, "classes.txt"), "cat\n");
    expect(convertDataset(folder, path("coco"), "coco").splits).toEqual({ train: { images: 1, annotations: 1 } });
  });
});

it("keeps what a dataset of both layouts has in each", async () => {
  const polygon = "0 0.25 0.2 0.75 0.2 0.5 0.8";
  await writeYolo(folder);
  rmSync(join(folder, "train"), { recursive: true });
  writeFileSync(join(folder, "data.yaml"), "val: valid/images\nnames: [owl, duck]\n");
  writeFileSync(join(folder, "valid", "labels", "a.txt"), `${polygon}\n`);
  await writePicture(join(folder, "train", "c.jpg"));
  const annotation = { id: 8, image_id: 1, category_id: 7, bbox: [4, 3, 8, 6], area: 24, iscrowd: 0, score: 1 };
  const categories = [
    { id: 7, name: "duck" },
    { id: 9, name: "owl" },
  ];
  writeTrain({
    images: [{ id: 1, file_name: "c.jpg", width: 40, height: 30 }],
    annotations: [{ ...annotation, segmentation: [[4, 3, 12, 3, 4, 9]] }],
    categories,
  });
  convertDataset(folder, path("coco"), "coco");
  expect(read(path("coco"), "train").annotations).toEqual([{ ...annotation, segmentation: [[4, 3, 12, 3, 4, 9]] }]);
  expect(read(path("coco"), "valid").annotations[0]).toMatchObject({
    category_id: 9,
    segmentation: [[10, 6, 30, 6, 20, 24]],
  });
  convertDataset(folder, path("yolo"), "yolo");
  expect(readFileSync(join(path("yolo"), "valid", "labels", "a.txt"), "utf8")).toBe(`1${polygon.slice(1)}\n`);
});

it("writes nothing for a dataset that has the format already, has faults, or whose target exists", async () => {
  await writeCoco(folder);
  expect(() => convertDataset(folder, path("out"), "coco")).toThrow("another format than coco but");
  expect(() => convertDataset(folder, dirname(folder), "yolo")).toThrow("a folder that does not exist yet");
  for (const split of ["train", "valid"]) rmSync(join(folder, split, "a.jpg"));
  expect(() => convertDataset(folder, path("out"), "yolo")).toThrow(/without faults but .*a\.jpg/);
  renameSync(join(folder, "valid"), join(folder, "test"));
  await writeCoco(folder);
  expect(() => convertDataset(folder, path("out"), "yolo")).toThrow(/without faults but .*a\.jpg/);
  expect(existsSync(path("out"))).toBe(false);
});
