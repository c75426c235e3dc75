import { expect, it } from "vitest";
import { processesMismatch } from "./prepare.js";

it.each([
  [
    1,
    2,
    true,
    "1 process, as the run began with, but 2 were started: a run can go on in fewer processes, and not in more",
  ],
  [4, 3, true, "4 processes, as the run began with, or a number that divides it, but 3 were started"],
  [4, 1, false, "4 processes, or a number that divides it, but 1 was started"],
] as const)("a run of %s processes says why %s do not share it", (whole, size, isResumed, message) => {
  expect(processesMismatch(whole, size, isResumed)).toBe(`Expected ${message}`);
});
