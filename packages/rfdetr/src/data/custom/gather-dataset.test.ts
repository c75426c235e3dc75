import { existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import sharp from "sharp";
import { beforeAll, describe, expect, it } from "vitest";
import { toCocoRuns } from "../../masks/coco-runs.js";
import { encodeMask } from "../../masks/mask.js";
import type { ImageInput } from "../../predict/inputs/image-input.js";
import { writePicture } from "../../testing/dataset-files.js";
import { decodeFile } from "../images/decode.js";
import type { ImagePixels } from "../images/image-pixels.js";
import { openDataset } from "../open-dataset.js";
import type { CustomData, CustomRow } from "./custom-dataset.js";
import { gatherDataset, gatherInto } from "./gather-dataset.js";

describe("a custom dataset", () => {
  const home = mkdtempSync(join(tmpdir(), "own-"));
  const file = join(home, "pond.png");
  const pixels = Uint8Array.from({ length: 8 * 6 * 3 }, (_, i) => i);
  const row: CustomRow = { image: file, boxes: [[6, 3, 18, 12]], labels: ["duck"] };
  let bytes: Buffer;
  beforeAll(async () => {
    await writePicture(file);
    bytes = await sharp(file).jpeg().toBuffer();
  });

  it("has masks in each form, which are read again", async () => {
    const mask = encodeMask(
      Array.from({ length: 30 * 40 }, (_, i) => (i % 40 < 9 ? 1 : 0)),
      30,
      40,
    );
    const triangle = [6, 3, 18, 3, 18, 12];
    const boxes = [0, 1, 2, 3, 4].map(() => [0, 0, 20, 20]);
    const labels = boxes.map(() => "duck");
    const masks: CustomRow["masks"] = [mask, toCocoRuns(mask), [triangle], [Float64Array.from(triangle)], null];
    const { folder } = await gatherDataset(
      { train: [{ image: file, boxes, labels, masks }], valid: [row] },
      join(home, "outlined"),
    );
    const { annotations } = JSON.parse(readFileSync(join(folder, "train", "_annotations.coco.json"), "utf8"));
    // Pixels of the outlines; the last object has a box only. pycocotools takes the id 0 for none.
    expect(annotations.map(({ id, area }: { id: number; area: number }) => [id, area])).toEqual([
      [1, 270],
      [2, 270],
      [3, 54],
      [4, 54],
      [5, 400],
    ]);
    const polygon = { polygons: [Float64Array.from(triangle)] };
    expect(openDataset(folder, "train", { masks: true }).images[0].outlines).toEqual([
      { mask },
      { mask },
      polygon,
      polygon,
      null,
    ]);
  });

  it.each<[string, unknown, RegExp]>([
    ["another number of masks", [], /as many masks as boxes, 1, in row 0 of the train dataset but found 0/],
    ["bits", [Uint8Array.of(0, 1)], /polygons or null for masks\[0\] of row 0 of the train dataset but it is neither/],
    ["odd numbers", [[[1, 2, 3]]], /masks\[0\] of row 0 .* but polygon 0 is no list of pairs of numbers/],
    ["a mask of another size", [encodeMask([0, 1], 1, 2)], /a mask of 40×30 pixels for masks\[0\] .* received 2×1/],
  ])("is refused with %s", async (_, masks, message) => {
    const data = { train: [{ ...row, masks }], valid: [row] } as CustomData;
    await expect(gatherDataset(data, join(home, "refused"))).rejects.toThrow(message);
  });

  it("takes the pixels that predict takes, also those of a canvas", async () => {
    const data = new Uint8ClampedArray(8 * 6 * 4).fill(200);
    const image: ImagePixels & ImageInput = { data, width: 8, height: 6 };
    const canvas: CustomRow = { image, boxes: [], labels: [] };
    const { folder } = await gatherDataset({ train: [row, canvas], valid: [row] }, join(home, "canvas"));
    const decoded = await decodeFile(openDataset(folder, "train").images[1]?.file ?? "");
    expect([decoded.width, decoded.height, ...new Set(decoded.data)]).toEqual([8, 6, 200]);
    const bare = { ...canvas, image: { ...image, data: new Uint8Array(data) } };
    await expect(gatherDataset({ train: [bare], valid: [row] }, join(home, "bare"))).rejects.toThrow(
      "Expected pixels with a width, a height and 1, 3 or 4 channels for row 0 of the train dataset",
    );
  });

  it("is gathered from rows by index, from iterables and from every kind of image", async () => {
    const asked: number[] = [];
    const rows: CustomRow[] = [
      row,
      {
        image: pathToFileURL(file),
        boxes: new Float32Array([0, 0, 5, 6, 1, 1, 9, 9]),
        labels: [1, 0],
        crowd: [false, true],
      },
      { image: bytes, boxes: [], labels: [], name: "birds/heron 7" },
      { image: { data: pixels, width: 8, height: 6, channels: 3 }, boxes: [1, 1, 4, 4], labels: Int32Array.of(1) },
    ];
    const data: CustomData = {
      train: { length: rows.length, get: async (index) => rows[asked.push(index) - 1] },
      valid: (async function* () {
        yield* rows;
      })(),
      test: [row],
      classNames: ["duck", "owl"],
    };
    const told: unknown[] = [];
    const { folder, images } = await gatherDataset(data, join(home, "birds"), {
      onProgress: (...progress) => told.push(progress),
    });
    expect(images).toEqual({ train: 4, valid: 4, test: 1 });
    expect(asked).toEqual([0, 1, 2, 3]);
    expect(told).toContainEqual(["train", 4, 4]);
    expect(told).toContainEqual(["valid", 4, null]);
    const train = openDataset(folder, "train");
    expect(train.classNames).toEqual(["duck", "owl"]);
    expect(train.warnings).toEqual([]);
    expect(train.images.map((image) => image.file.slice(folder.length))).toEqual([
      "/train/0-pond.png",
      "/train/1-pond.png",
      "/train/2-heron 7.jpg",
      "/train/3-image.png",
    ]);
    expect(train.images.map(({ boxes, labels }) => [[...boxes], [...labels]])).toEqual([
      [[6, 3, 18, 12], [0]],
      [[0, 0, 5, 6], [1]],
      [[], []],
      [[1, 1, 4, 4], [1]],
    ]);
    expect([...train.images[1].crowd.boxes]).toEqual([1, 1, 9, 9]);
    expect(realpathSync(train.images[0].file)).toBe(realpathSync(file));
    expect(readFileSync(train.images[2].file)).toEqual(bytes);
    expect(new Uint8Array((await decodeFile(train.images[3].file)).data)).toEqual(pixels);
    await expect(gatherDataset(data, folder)).rejects.toThrow(/Expected a folder that does not exist yet/);
  });

  it("has the classes of its labels, sorted, where none are named", async () => {
    const data: CustomData = { train: [{ ...row, labels: ["owl"] }, row], valid: [row] };
    const { folder } = await gatherInto(join(home, "sorted"), data);
    expect(openDataset(folder, "valid")).toMatchObject({ classNames: ["duck", "owl"] });
  });

  it("may have rows with names longer than those of files", async () => {
    const name = `${"ü".repeat(300)}.png`;
    const train = [name, name.replace("ü.", "ö.")].map((each) => ({ ...row, name: each }));
    const { folder } = await gatherInto(join(home, "long"), { train, valid: [row] });
    const files = openDataset(folder, "train").images.map((image) => basename(image.file));
    expect(files).toEqual([expect.stringMatching(/^0-ü{95}-[0-9a-f]{8}\.png$/), expect.stringMatching(/^1-ü{95}-/)]);
    expect(files[0].slice(1)).not.toBe(files[1].slice(1));
  });

  it("is gathered once for equal data, and again for others", async () => {
    const parent = join(home, "runs");
    const first = await gatherInto(parent, { train: [row], valid: [row] });
    expect(await gatherInto(parent, { train: [row], valid: [row] })).toEqual(first);
    const other = await gatherInto(parent, { train: [{ ...row, boxes: [[6, 3, 18, 11]] }], valid: [row] });
    expect(other.folder).not.toBe(first.folder);
    expect(readdirSync(parent)).toHaveLength(2);
  });

  const faults: [string, Record<string, unknown> | null, string][] = [
    [
      "a misspelt key",
      { lables: ["duck"] },
      "image, boxes, labels, crowd, masks or name in row 1 of the train dataset but received lables: did you mean labels?",
    ],
    ["no row", null, "Expected { image, boxes, labels } for row 1 of the train dataset but received null"],
    ["no image", { image: undefined }, "pixels { data, width, height, channels } for the image of row 1"],
    ["a missing file", { image: "/no/such.png" }, "/no/such.png cannot be read: there is no such file (row 1 of the"],
    ["a picture elsewhere", { image: "https://birds.example/1.png" }, "the image of row 1 of the train dataset but"],
    ["a file elsewhere", { image: "file://host/1.png" }, "the image of row 1 of the train dataset but received"],
    ["bytes of no picture", { image: Buffer.from("text") }, "row 1 of the train dataset is of no known kind"],
    ["too few bytes", { image: { data: pixels, width: 9, height: 6, channels: 3 } }, "Expected 162 bytes for the 9×6"],
    [
      "no number",
      { boxes: [[1, 2, Number.NaN, 4]] },
      'pixels for box 0 of row 1 of the train dataset but received [1,2,"NaN"',
    ],
    ["three numbers", { boxes: [1, 2, 3] }, "Expected four numbers for each box of row 1"],
    ["sizes for corners", { boxes: [[30, 20, 10, 10]] }, "[30,20,10,10], which ends before it begins"],
    [
      "a label too few",
      { labels: [] },
      "Expected as many labels as boxes, 1, in row 1 of the train dataset but found 0",
    ],
    ["an index without names", { labels: [3] }, "there are no classNames, but row 1 of the train dataset has 3"],
    ["half a label", { labels: [0.5] }, "or its index from 0, in row 1 of the train dataset but received 0.5"],
  ];
  it.each(faults)("is refused for %s, naming the row, and leaves nothing", async (_, change, message) => {
    const parent = join(home, "faults");
    const train = [row, (change === null ? null : { ...row, ...change }) as CustomRow];
    await expect(gatherInto(parent, { train, valid: [row] })).rejects.toThrow(message);
    expect(existsSync(parent) ? readdirSync(parent) : []).toEqual([]);
  });

  it("is refused for what the checks of files refuse, and warns of what they repair", async () => {
    const parent = join(home, "checked");
    const valid = [row];
    const empty = { ...row, boxes: [], labels: [] };
    await expect(gatherInto(parent, { train: [empty], valid, classNames: ["duck"] })).rejects.toThrow(
      /^The train dataset cannot be used: the train split has no annotations in the train dataset/,
    );
    await expect(gatherInto(parent, { train: [], valid })).rejects.toThrow("Expected rows in the train dataset");
    await expect(gatherInto(parent, { train: [row], valid: [{ ...row, labels: ["owl"] }] })).rejects.toThrow(
      'Expected one of the classes ["duck"] in row 0 of the valid dataset but found "owl"',
    );
    const failing = {
      length: 2,
      get: (index: number) => (index === 0 ? row : Promise.reject(new Error("no network"))),
    };
    await expect(gatherInto(parent, { train: failing, valid })).rejects.toThrow(
      "Expected row 1 of the train dataset but making it failed: no network",
    );
    await expect(gatherInto(parent, { train: "birds/" as never, valid })).rejects.toThrow(/but received "birds\/"/);
    await expect(gatherInto(parent, { train: [row], valid, vallid: [] } as never)).rejects.toThrow(
      "Expected train, valid, test or classNames in a custom dataset but received vallid: did you mean valid?",
    );
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(gatherInto(parent, { train: [row], valid }, { signal })).rejects.toThrow("stopped");
    const later = new AbortController();
    const get = (index: number) =>
      index === 0 ? row : new Promise<CustomRow>(() => later.abort(new Error("stopped")));
    await expect(gatherInto(parent, { train: { length: 2, get }, valid }, later)).rejects.toThrow("stopped");
    await expect(gatherInto(parent, null as never)).rejects.toThrow("Expected { train, valid } as a custom dataset");
    await expect(gatherInto(parent, { train: [row], valid, classNames: "duck" as never })).rejects.toThrow(
      'Expected a list of texts as classNames of a custom dataset but received "duck"',
    );
    expect(readdirSync(parent)).toEqual([]);
    const { folder } = await gatherInto(parent, { train: [{ ...row, boxes: [[6, 3, 60, 12]] }], valid });
    expect(openDataset(folder, "train").warnings).toEqual([
      expect.stringMatching(/^the box of annotation 1 in 0-pond.png leaves the image/),
    ]);
  });
});
