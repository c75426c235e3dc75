import { describe, expect, it } from "vitest";
import { axisTexts } from "../../../dash/format.js";

describe("the numbers of an axis", () => {
  it("are written in one way", () => {
    expect(axisTexts([0, 2.5e-4, 5e-4, 7.5e-4, 0.001])).toEqual(["0", "2.5e−4", "5e−4", "7.5e−4", "1e−3"]);
    expect(axisTexts([0, 0.005, 0.01, null])).toEqual(["0", "0.005", "0.01", ""]);
  });
});
