import { describe, expect, it } from "vitest";
import { compare } from "./against.js";

const step = (median: number, mebibytes: number) => ({
  seconds: { step: { median } },
  peak_rss_bytes: mebibytes * 2 ** 20,
});

describe("compare", () => {
  it("takes medians over the rounds, and the span of the rounds' own ratios", () => {
    const result = compare(
      "32-true",
      [step(3, 100), step(2, 300), step(4, 200)],
      [step(2, 10), step(1, 30), step(1, 20)],
    );
    expect(result.python).toEqual({ seconds: 3, peak_rss_bytes: 200 * 2 ** 20, rounds: [3, 2, 4] });
    expect(result.ours.seconds).toBe(1);
    expect(result.ratio).toEqual({ median: 3, min: 1.5, max: 4 });
  });

  it("reads inference by its whole prediction, in seconds", () => {
    const predict = (median: number) => ({ milliseconds: { predict: { median } }, peak_rss_bytes: 1 });
    expect(compare("bf16-mixed", [predict(90)], [predict(45)])).toMatchObject({
      python: { seconds: 0.09 },
      ours: { seconds: 0.045 },
      ratio: { median: 2 },
    });
  });
});
