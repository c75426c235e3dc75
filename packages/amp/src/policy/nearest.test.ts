import { describe, expect, it } from "vitest";
import { editDistance, nearest } from "./nearest.js";

describe("near names", () => {
  it("are few edits away", () => {
    expect(editDistance("kitten", "sitting")).toBe(3);
    expect(editDistance("lienar", "linear")).toBe(1);
    expect(nearest("lienar", ["linear", "conv2d", "bilinear"])).toEqual(["linear"]);
  });
});
