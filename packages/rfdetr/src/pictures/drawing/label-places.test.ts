import { describe, expect, it } from "vitest";
import { boxOverlay } from "./box-overlay.js";
import { LabelPlaces } from "./label-places.js";

const box = (left: number, top: number, right: number, bottom: number) => ({ left, top, right, bottom });

describe("the places of labels", () => {
  it("keep off the objects where there is room beside them", () => {
    const [own, above] = [box(40, 60, 70, 90), box(30, 20, 110, 58)];
    expect(new LabelPlaces(200, 200).place(own, 60, 10)).toEqual(box(40, 50, 100, 60));
    const place = new LabelPlaces(200, 200, [own, above]).place(own, 60, 10);
    expect(place).toEqual(box(40, 90, 100, 100));
  });

  it("stay at their box where every place covers something", () => {
    const all = box(0, 0, 100, 100);
    expect(new LabelPlaces(100, 100, [all]).place(all, 40, 10)).toEqual(box(0, 0, 40, 10));
  });
});

it("the letters of labels are a small share of a small picture", async () => {
  const found = [{ box: [60, 60, 90, 90], classId: 0, className: "smiling face", score: 0.93 }];
  const heightIn = async (side: number): Promise<number> => {
    const overlay = (await boxOverlay(side, side, found)) ?? "";
    const [, height] = /<rect [^>]*height="([\d.]+)" rx="[\d.]+" fill="#/.exec(overlay) ?? [];
    return Number(height);
  };
  expect(await heightIn(160)).toBeLessThan(160 / 12);
  expect((await heightIn(160)) / 160).toBeLessThan(0.08);
  expect(await heightIn(640)).toBeGreaterThan(20);
});
