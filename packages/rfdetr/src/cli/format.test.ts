import { describe, expect, it } from "vitest";
import { bytes, clock, duration, fraction, table } from "./format.js";

describe("formats", () => {
  it("shows durations, bytes, fractions", () => {
    expect([duration(0), duration(245), duration(3723), duration(Number.NaN)]).toEqual(["0:00", "4:05", "1:02:03", "–"]);
    expect([bytes(12), bytes(1536), bytes(1.33 * 2 ** 30)]).toEqual(["12 B", "1.50 KiB", "1.33 GiB"]);
    expect([fraction(0.98249), fraction(-1), fraction(null)]).toEqual(["0.982", "–", "–"]);
  });

  it("names the day when the end is not today", () => {
    const now = new Date(2026, 10, 23, 23, 30);
    expect(clock(now, 600)).toBe("23:40");
    expect(clock(now, 3600)).toBe("Tue 00:30");
  });

  it("aligns tables: text left, numbers right", () => {
    expect(
      table(
        ["class", "AP"],
        [
          ["cat", "0.9"],
          ["airplane", "0.75"],
        ],
      ),
    ).toEqual(["class       AP", "cat        0.9", "airplane  0.75"]);
  });
});
