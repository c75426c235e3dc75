import { describe, expect, it } from "vitest";
import { namesOf } from "./exported-model.js";

describe("the names of the classes", () => {
  it("are those of the file or of the caller, or numbers", () => {
    expect(namesOf({ classNames: ["cat", "dog"] }, 3)).toEqual(["cat", "dog"]);
    expect(namesOf({ classNames: ["cat", "dog"] }, 2)).toEqual(["cat", "dog"]);
    expect(namesOf({ classNames: ["cat", "dog"] }, null)).toEqual(["cat", "dog"]);
    expect(namesOf({ classNames: null }, 3)).toEqual(["class 0", "class 1"]);
  });

  it("are refused where they are too few or too many", () => {
    expect(() => namesOf({ classNames: ["cat"] }, 3)).toThrow("Expected a name for each of 2 classes but received 1");
    expect(() => namesOf({ classNames: ["cat", "dog", "cow"] }, 2)).toThrow(
      "Expected a name for each of 1 classes but received 3",
    );
  });
});
