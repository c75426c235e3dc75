import { execFileSync } from "node:child_process";
import { describe, expect, it } from "vitest";
import { busyness, processRuns } from "./machine.js";

describe("the machine", () => {
  it("is busy when half of its cores are taken, and then says what that means for what is measured", () => {
    expect(busyness(0.4, 2)).toEqual({ text: "0.4 processes on 2 cores in the last minute", busy: false });
    expect(busyness(3, 2)).toMatchObject({ busy: true, text: expect.stringContaining("other programs take time") });
  });

  it("tells processes that run from those that ended", () => {
    expect(processRuns(process.pid)).toBe(true);
    const ended = execFileSync(process.execPath, ["-e", "console.log(process.pid)"], { encoding: "utf8" });
    expect(processRuns(Number(ended))).toBe(false);
  });
});
