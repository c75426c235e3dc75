import { expect, it } from "vitest";
import { median } from "./median.js";

it("is the middle value, or the mean of the middle two", () => {
  expect(median([5, 1, 3])).toBe(3);
  expect(median([4, 1, 3, 2])).toBe(2.5);
  expect(median([-0.1])).toBe(-0.1);
  expect(median([])).toBeNaN();
});
