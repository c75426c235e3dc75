import { expect, it } from "vitest";
import { decimal } from "./decimal.js";

it("reads decimal notation, and nothing else", () => {
  expect(["0", "-3", "+.5", "1.", "0.25", "1e5", "2E-3"].map(decimal)).toEqual([0, -3, 0.5, 1, 0.25, 1e5, 2e-3]);
  for (const text of ["", " ", "0x1", "0b1", "0o7", "1_000", "Infinity", "-Infinity", "NaN", "1e", ".", "1,5", " 1"])
    expect(decimal(text)).toBeNaN();
});
