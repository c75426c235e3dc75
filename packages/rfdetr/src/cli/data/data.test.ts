import { expect, it } from "vitest";
import { findingCount } from "./data.js";

it("the check of data says what it has counted", () => {
  expect(findingCount("repeated pictures", 1)).toBe("1 picture of several files");
  expect(findingCount("pictures in several splits", 3)).toBe("3 pictures of several files");
  expect(findingCount("malformed areas", 1)).toBe("1 finding");
});
