import { describe, expect, it } from "vitest";
import { shape } from "./context.js";

describe("a flag that is the size of images", () => {
  it("is one side, or height and width", () => {
    expect(shape("resolution", "384")).toBe(384);
    expect(shape("resolution", "384x640")).toEqual([384, 640]);
    expect(shape("resolution", "16384x1")).toEqual([16_384, 1]);
  });

  it.each(["0", "0x160", "160x0", "-5", "38.4", "384x", "x384", "1x2x3", "384X640", "384,640", "1e3", "wide", ""])(
    "names %j as it was typed",
    (text) => {
      expect(() => shape("resolution", text)).toThrow(
        new RegExp(`^Expected one side, or height and width such as 384x640, for resolution but received ${text}$`),
      );
    },
  );

  it("has at most 16384 pixels a side", () => {
    expect(() => shape("shape", "384x16385")).toThrow(
      "Expected at most 16384 pixels a side for shape but received 384x16385",
    );
  });
});
