import { describe, expect, it } from "vitest";
import type { RunRecord } from "../records/run-record.js";
import { dataDifferences, sameData } from "./likeness.js";

const split = (sha256: string | undefined, alike?: { sha256: string; box: number[] }, objects = 6) => ({
  images: 3,
  objects,
  ...(sha256 === undefined ? {} : { sha256 }),
  ...(alike === undefined ? {} : { alike }),
});
const run = (path: string, train: ReturnType<typeof split>): RunRecord =>
  ({ config: { data: { path, train, valid: split("v", { sha256: "v", box: [1] }) } } }) as unknown as RunRecord;
const alike = (sha256: string, ...box: number[]) => ({ sha256, box });

describe("the data of runs", () => {
  it("are the same in another folder and another format of files", () => {
    const coco = run("/data/birds-coco", split("a", alike("p", 1, 2, 3, 4)));
    const yolo = run("/data/birds-yolo", split("b", alike("p", 1.028, 2, 3, 4.065)));
    expect(dataDifferences([coco, yolo])).toEqual([]);
    expect(sameData([coco, yolo])).toBe(true);
    expect(sameData([run("/x/one", split("a")), run("/y/two", split("a"))])).toBe(true);
  });

  it("that differ are told apart in words", () => {
    const first = run("/data/birds", split("a", alike("p", 1, 2, 3, 4)));
    const others = [
      run("/data/birds", split("b", alike("q", 1, 2, 3, 4))),
      run("/data/birds", split("b", alike("p", 1, 2, 3, 9))),
      run("/data/birds", split("b", alike("q", 1), 7)),
    ];
    expect(others.map((other) => dataDifferences([first, other]))).toEqual([
      ["training: other images or classes, in equal numbers"],
      ["training: other boxes, in the same images"],
      ["training: 3 images with 6 objects and 3 images with 7 objects"],
    ]);
    expect(sameData([first, others[0]])).toBe(false);
  });

  it("of earlier versions are told by the name of their folder", () => {
    const old = (path: string) => run(path, split(undefined));
    expect(dataDifferences([old("/a/birds"), old("/b/birds")])).toEqual([]);
    expect(dataDifferences([old("/a/birds"), old("/a/planes")])).toEqual(["folders birds and planes"]);
  });
});
