import { expect, it } from "vitest";
import { rangeAcross } from "../../../dash/axis-range.js";

it("The axis of a chart ends at its points, and has the only one in its middle", () => {
  expect(rangeAcross({ data: [[3, 4, 7]] }, 3, 7)).toEqual([3, 7]);
  // The plot asks for a range from 0 to 2 about a single 1.
  expect(rangeAcross({ data: [[1]] }, 0, 2)).toEqual([0.5, 1.5]);
});
