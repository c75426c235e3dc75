import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { encodeMask } from "../masks/mask.js";
import type { Detection } from "../model/types.js";
import { cornersIou, cutTile, groupTiles, mergeTiles, type TileBox, tileBoxes } from "./tiles.js";

/** Left, top, right, bottom, score and class. */
type Listed = [number, number, number, number, number, number];
interface Golden {
  image: [number, number];
  size: [number, number];
  overlap: [number, number];
  iou: number;
  tiles: TileBox[];
  found: Listed[][];
  merged: Listed[];
}
const goldens: Golden[] = JSON.parse(readFileSync(new URL("fixtures/slicer.json", import.meta.url), "utf8"));

const detection = ([x1, y1, x2, y2, score, classId]: Listed): Detection => ({
  box: [x1, y1, x2, y2],
  score,
  classId,
  className: `class ${classId}`,
});

describe.each(goldens)("an image of $image in tiles of $size that share $overlap", (golden) => {
  it("has the tiles of supervision's slicer", () => {
    expect(tileBoxes(...golden.image, golden)).toEqual(golden.tiles);
  });

  it("keeps of overlapping boxes those that supervision keeps", () => {
    const found = golden.found.map((tile) => tile.map(detection));
    expect(mergeTiles(found, golden.tiles, golden)).toEqual(golden.merged.map(detection));
  });
});

describe("tiles", () => {
  it("share a fifth by default, and reach every edge", () => {
    expect(tileBoxes(180, 100, { size: 100 })).toEqual([
      [0, 0, 100, 100],
      [80, 0, 180, 100],
    ]);
    expect(tileBoxes(181, 90, { size: 100 }).map(([left]) => left)).toEqual([0, 80, 81]);
  });

  it("have the pixels of their place", () => {
    const data = Uint8Array.from({ length: 5 * 4 * 3 }, (_, i) => i);
    const tile = cutTile({ data, width: 5, height: 4 }, [1, 2, 3, 4]);
    expect([tile.width, tile.height]).toEqual([2, 2]);
    expect([...tile.data]).toEqual([33, 34, 35, 36, 37, 38, 48, 49, 50, 51, 52, 53]);
  });

  it("form groups in parts of an image that hold so many pixels at most", () => {
    const tiles = tileBoxes(100, 100, { size: 40, overlap: 10 });
    const groups = groupTiles(tiles, 100 * 70);
    expect(groups.flatMap((group) => group.tiles)).toEqual(tiles);
    expect(groups.map(({ part }) => part)).toEqual([
      [0, 0, 100, 70],
      [0, 60, 100, 100],
    ]);
    expect(groupTiles(tiles, 1).map((group) => group.tiles)).toEqual(tiles.map((tile) => [tile]));
  });

  it("have masks at their place in the image", () => {
    const tiles: TileBox[] = [
      [0, 0, 3, 2],
      [2, 0, 5, 2],
    ];
    const mask = encodeMask([0, 1, 1, 0, 0, 1], 2, 3);
    const found: Detection = { ...detection([1, 0, 3, 2, 0.5, 0]), mask };
    const [first, second] = mergeTiles([[found], [found]], tiles, { size: 3 });
    expect(first.mask).toEqual(encodeMask([0, 1, 1, 0, 0, 0, 0, 1, 0, 0], 2, 5));
    expect(second.mask).toEqual(encodeMask([0, 0, 0, 1, 1, 0, 0, 0, 0, 1], 2, 5));
  });

  it("keep boxes of different classes, and of equal scores the first", () => {
    const box: [number, number, number, number] = [0, 0, 10, 10];
    const [one, two, other] = [0, 0, 1].map((classId) => ({ box, score: 0.5, classId, className: String(classId) }));
    expect(mergeTiles([[one, two, other]], [[0, 0, 9, 9]], { size: 9 })).toEqual([one, other]);
  });
});

it("boxes overlap by their intersection over union", () => {
  expect(cornersIou([0, 0, 10, 10], [5, 0, 15, 10])).toBeCloseTo(1 / 3, 12);
  expect(cornersIou([0, 0, 1, 1], [2, 2, 3, 3])).toBe(0);
  expect(cornersIou([0, 0, 0, 0], [0, 0, 0, 0])).toBe(0);
});
