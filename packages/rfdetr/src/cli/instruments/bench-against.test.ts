import { expect, it } from "vitest";
import type { ProgramTimes } from "../../instruments/peers/against.js";
import { cells } from "./bench-against.js";

it("times of all programs, of steps and of forward passes, are in the unit that this program has alone", () => {
  const times: ProgramTimes = {
    program: "python",
    seconds: 0.298,
    rounds: [0.298],
    peak_rss_bytes: 2 ** 30,
    ratio: { median: 1.5, min: 1.4, max: 1.6 },
    slowing: null,
    unavailable: null,
  };
  for (const measured of ["training step", "forward"] as const)
    expect(cells({ precision: "32-true", measured, busy: false, programs: [] }, times)).toEqual([
      ...[measured, "32-true", "", "Python", "298.0 ms", "1.50×", "1.40–1.60", "", "1024"],
    ]);
});
