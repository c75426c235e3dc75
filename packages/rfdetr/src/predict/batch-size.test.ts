import { describe, expect, it } from "vitest";
import { BatchSize } from "./batch-size.js";

/** The sizes of the batches where a batch takes so many milliseconds by its size. */
function sizes(milliseconds: (size: number) => number, memory = () => ({ peak: 0, free: 1e12 })): number[] {
  const size = new BatchSize("auto", memory);
  return Array.from({ length: 30 }, () => {
    const { current } = size;
    size.took(current, milliseconds(current));
    return current;
  });
}

describe("a batch of measured size", () => {
  it("doubles as long as an image gets faster, and stays at the best", () => {
    expect(new Set(sizes((size) => 10 + size))).toEqual(new Set([1, 2, 4, 8, 16, 32, 64]));
    const best = sizes((size) => size * Math.abs(size - 4) + size);
    expect(best.slice(0, 12)).toEqual([1, 1, 1, 2, 2, 2, 4, 4, 4, 8, 8, 8]);
    expect(best.slice(12)).toEqual(Array(18).fill(4));
    expect(sizes((size) => size).slice(6)).toEqual(Array(24).fill(1));
  });

  it("does not count the first batch of a size, which warms up, nor the last, which is smaller", () => {
    const size = new BatchSize("auto");
    for (const milliseconds of [900, 10, 10, 900, 10, 10]) size.took(size.current, milliseconds);
    expect(size.current).toBe(4);
    size.took(3, 1e6);
    expect(size.current).toBe(4);
  });

  it("stays within memory", () => {
    let peak = 0;
    const memory = () => ({ peak: (peak += 2 ** 30), free: 5 * 2 ** 30 });
    expect(Math.max(...sizes((size) => 10 + size, memory))).toBe(4);
    const size = new BatchSize("auto");
    for (let i = 0; i < 9; i++) size.took(size.current, 10);
    expect(size.current).toBe(8);
    size.tooLarge(8);
    expect(size.current).toBe(4);
  });

  it("is the one that was asked for", () => {
    const size = new BatchSize(5);
    for (let i = 0; i < 9; i++) size.took(5, 10 ** i);
    expect(size.current).toBe(5);
  });
});
