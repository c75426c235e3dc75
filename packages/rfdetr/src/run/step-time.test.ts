import { describe, expect, it } from "vitest";
import { timeSlow } from "./step-time.js";

/** Sizes whose mean is 500² pixels, nearest to 480. */
const sizes = [300, 480, Math.sqrt(3 * 500 ** 2 - 300 ** 2 - 480 ** 2)];
const largest = sizes[2] ** 2;

/** What is found where steps take so many seconds, one after another, and the sizes of those that were taken. */
function time(first: number, ...later: number[]) {
  const taken: unknown[] = [];
  const take = (size: unknown): number => {
    taken.push(size);
    return later[taken.length - 1];
  };
  return { ...timeSlow({ sizes, largest: first, take }, () => {}), taken };
}

describe("the time of slow steps", () => {
  it("is what the largest one and three of the size nearest to the mean take, by their pixels", () => {
    const share = 480 ** 2 / 500 ** 2;
    const { seconds, timed, taken } = time((4 * largest) / 500 ** 2, 3 * share, 3 * share, 6 * share);
    expect(seconds.step).toBeCloseTo(4);
    expect([seconds.least, seconds.most].map((each) => Number(each.toFixed(6)))).toEqual([3, 6]);
    expect([timed, taken]).toEqual([{ steps: 4, sizes: [480, sizes[2]], loading: false }, [480, 480, 480]]);
  });

  it("is measured in about twenty seconds more", () => {
    expect(time(12, 9, 9).taken).toEqual([480, 480]);
  });

  it("is that of the largest alone where another would take more than twenty seconds", () => {
    const { seconds, timed, taken } = time((30 * largest) / 500 ** 2);
    expect(seconds.step).toBeCloseTo(30);
    expect([seconds.least, seconds.most]).toEqual([seconds.step, seconds.step]);
    expect([timed, taken]).toEqual([{ steps: 1, sizes: [sizes[2]], loading: false }, []]);
  });
});
