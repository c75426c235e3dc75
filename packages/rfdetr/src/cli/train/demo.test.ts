import { describe, expect, it } from "vitest";
import { timeText } from "./demo.js";

describe("the time of a demo", () => {
  it("is that of the training too where this command did only the rest of it", () => {
    expect(timeText(16, 123)).toBe("2:03 of training in all, 0:16 since it was resumed");
    expect(timeText(140, 123)).toBe("2:20 in all");
  });
});
