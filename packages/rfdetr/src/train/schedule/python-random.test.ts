import { describe, expect, it } from "vitest";
import { PythonRandom } from "./python-random.js";

describe("PythonRandom", () => {
  it("chooses what CPython's random.Random(seed).choice chooses", () => {
    const scales = [192, 256, 320, 384, 448, 512];
    const chosen = Array.from({ length: 20 }, (_, seed) => new PythonRandom(seed).choice(scales));
    expect(chosen).toEqual([
      384, 256, 192, 256, 256, 448, 448, 320, 256, 384, 448, 384, 384, 320, 192, 256, 320, 448, 256, 512,
    ]);
  });

  it("seeds from every 32-bit word of a large integer", () => {
    const eleven = Array.from({ length: 11 }, (_, i) => i);
    expect([0, 1, 2 ** 32 + 5, 10 ** 12].map((seed) => new PythonRandom(seed).choice(eleven))).toEqual([6, 2, 2, 7]);
  });

  it("refuses what is not an integer, and an empty list", () => {
    expect(() => new PythonRandom(1.5)).toThrow("Expected safe integer for seed but received 1.5 of type number");
    expect(() => new PythonRandom(0).choice([])).toThrow("at least one element");
  });
});
