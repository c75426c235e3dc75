import { describe, expect, it } from "vitest";
import type { ListedImage, Listing } from "../formats/listing.js";
import { toDataset } from "./to-dataset.js";

describe("a listed split as a dataset", () => {
  it("has any number of images, numbers those without one behind the others, and classes where an id is text", () => {
    const images = Array.from({ length: 200_000 }, (_, i): ListedImage => {
      const [name, size] = [`${i}.jpg`, { width: 4, height: 4 }];
      const id = i === 7 ? "seven" : i;
      const about = { header: null, fault: null, orientation: 1, entry: null };
      return { id, name, file: name, size, boxes: [], annotations: 0, ...about };
    });
    const listing: Listing = {
      layout: "coco",
      split: "train",
      source: "a.json",
      folders: [],
      images,
      annotations: 0,
      problems: [],
      outlines: false,
      rest: null,
    };
    const found = toDataset(listing, [{ name: "cat", id: 1 }], []).images;
    expect(
      toDataset(
        { ...listing, images: [] },
        [1, "x"].map((id) => ({ name: `${id}`, id })),
        [],
      ).categoryIds,
    ).toEqual([0, 1]);
    expect([found.length, found[6].id, found[7].id, found[8].id]).toEqual([200_000, 6, 200_000, 8]);
  });
});
