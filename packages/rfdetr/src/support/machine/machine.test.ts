import { describe, expect, it } from "vitest";
import { busyness } from "./machine.js";

describe("the machine", () => {
  it("is busy when half of its cores are taken, and then says what that means for what is measured", () => {
    expect(busyness(0.4, 2)).toEqual({ text: "0.4 processes on 2 cores in the last minute", busy: false });
    expect(busyness(3, 2)).toMatchObject({ busy: true, text: expect.stringContaining("other programs take time") });
  });
});
