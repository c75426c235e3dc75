import { describe, expect, it } from "vitest";
import { type AskedThresholds, areAsked, noRecorded, thresholdsOf } from "./asked-thresholds.js";

const recorded = { "*": 0.42, heron: 0.3, cat: 0.55 };
const refusal = () => new Error(noRecorded("best.safetensors"));

describe("thresholds that a program asks for", () => {
  it.each<[AskedThresholds, unknown]>([
    [0.4, 0.4],
    ["best", 0.42],
    ["best-by-class", recorded],
    [
      { "*": "best", heron: 0.1 },
      { "*": 0.42, heron: 0.1 },
    ],
    [
      { "*": "best-by-class", cat: 0.6 },
      { ...recorded, cat: 0.6 },
    ],
    [
      { heron: "best", dog: "best" },
      { heron: 0.3, dog: 0.42 },
    ],
    [{ toString: "best" } as never, { toString: 0.42 }],
    [{}, {}],
  ])("are, for %j, %j", (asked, thresholds) => {
    expect(areAsked(asked)).toBe(true);
    expect(thresholdsOf(asked, recorded, refusal)).toEqual(thresholds);
  });

  it("are numbers as they are given where the weights recorded none", () => {
    for (const asked of [0.4, { "*": 0.4, cat: 0.3 }]) expect(thresholdsOf(asked, null, refusal)).toEqual(asked);
  });

  it.each<[AskedThresholds]>([["best"], ["best-by-class"], [{ cat: "best" }]])(
    "are refused where the weights recorded none: %j",
    (asked) => {
      expect(() => thresholdsOf(asked, null, refusal)).toThrow(
        'Expected weights with a recorded threshold for threshold "best" but best.safetensors has none: its training recorded no evaluation, or none that any threshold above 0 improves. Give a number, such as threshold 0.3',
      );
    },
  );

  it.each([["bset"], ["0.5"], [null], [Number.NaN], [-1], [{ cat: 2 }], [{ cat: "best-by-class" }], [["best"]]])(
    "are nothing else: %j",
    (value) => {
      expect(areAsked(value)).toBe(false);
    },
  );
});
