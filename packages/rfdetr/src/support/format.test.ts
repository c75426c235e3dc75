import { describe, expect, it } from "vitest";
import {
  agreeing,
  clock,
  fieldLines,
  fraction,
  hms,
  roughTime,
  shellWord,
  shownPath,
  thresholdText,
  unbroken,
} from "./format.js";

describe("formats", () => {
  it("shows durations and fractions", () => {
    expect([hms(0), hms(245), hms(3723), hms(Number.NaN)]).toEqual(["0:00", "4:05", "1:02:03", "–"]);
    expect([fraction(0.98249), fraction(-1), fraction(null)]).toEqual(["0.982", "–", "–"]);
  });

  it("shows an estimated time, or its range, with two digits, in the unit of the longer", () => {
    const single = [0.0423, 16.64, 99, 100.4, 332 * 60, 19_962, 49 * 3600].map((seconds) => roughTime(seconds));
    expect(single).toEqual(["0.042 s", "17 s", "99 s", "1.7 min", "5.5 h", "5.5 h", "2 days"]);
    expect([roughTime(10_012, 19_962), roughTime(14.2, 14.3), roughTime(50, 110)]).toEqual([
      "2.8 to 5.5 h",
      "14 s",
      "0.83 to 1.8 min",
    ]);
  });

  it("shows thresholds without the digits of binary fractions", () => {
    const thresholds = [47 * 0.01, 0.1 + 0.2, 0.5, 0, 1, 0.005, 0.255];
    expect(thresholds.map(thresholdText)).toEqual(["0.47", "0.30", "0.50", "0.00", "1.00", "0.005", "0.255"]);
  });

  it("writes what no line is broken in with plain spaces", () => {
    expect(fieldLines([["run", unbroken("runs/my birds")]])).toEqual(["run        runs/my birds"]);
  });

  it("lets a verb agree with its count", () => {
    expect([0, 1, 2].map((count) => `${count} ${agreeing(count, "is", "are")} left out`)).toEqual([
      "0 are left out",
      "1 is left out",
      "2 are left out",
    ]);
  });

  it("names the day when the end is not today", () => {
    const now = new Date(2026, 10, 23, 23, 30);
    expect(clock(now, 600)).toBe("23:40");
    expect(clock(now, 3600)).toBe("Tue 00:30");
  });

  it("quotes words of a command line that a shell would take apart", () => {
    expect(["runs/nano-2", "a b", "it's", "$HOME", "", "鳥/一"].map(shellWord)).toEqual([
      "runs/nano-2",
      "'a b'",
      "'it'\\''s'",
      "'$HOME'",
      "''",
      "鳥/一",
    ]);
  });

  it("shows paths as one would type them", () => {
    expect(["/a/b/c", "/a/b", "/a", "c", "/a/bc"].map((path) => shownPath(path, "/a/b"))).toEqual([
      "c",
      ".",
      "/a",
      "c",
      "/a/bc",
    ]);
  });

  it("puts labels into a column of their own", () => {
    expect(
      fieldLines([
        ["run", "a", "b"],
        ["precision", "c"],
      ]),
    ).toEqual(["run        a", "           b", "precision  c"]);
  });
});
