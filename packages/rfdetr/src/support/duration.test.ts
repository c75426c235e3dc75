import { describe, expect, it } from "vitest";
import { secondsOf } from "./duration.js";

describe("a length of time", () => {
  it.each([
    ["8h", 28_800],
    ["90m", 5400],
    ["90min", 5400],
    ["1h30m", 5400],
    ["1h 30m", 5400],
    ["45s", 45],
    ["1.5h", 5400],
    ["2d", 172_800],
  ])("%s is %d seconds", (text, seconds) => expect(secondsOf(text)).toBe(seconds));

  it.each(["", "8", "h", "8 hours", "-8h", "8h-", "1e3s", "h8", "1h1h", "30m8h"])("%j is none", (text) =>
    expect(secondsOf(text)).toBeNull(),
  );
});
