import { describe, expect, it } from "vitest";
import { asksForBest, noRecorded, thresholdsOf } from "../../support/asked-thresholds.js";
import { optionText, readThresholds, thresholdInWords } from "./thresholds.js";

const recorded = { "*": 0.42, heron: 0.3, cat: 0.55 };
const thresholds = (values: string[], known: typeof recorded | null = recorded) =>
  thresholdsOf(readThresholds(values), known, () => new Error(noRecorded("runs/nano", null, optionText)));

describe("--threshold", () => {
  it("takes a number for all classes, and numbers for single ones", () => {
    for (const known of [recorded, null]) {
      expect(thresholds([], known)).toBe(0.5);
      expect(thresholds(["0.4"], known)).toBe(0.4);
      expect(thresholds(["dog-face=0.3"], known)).toEqual({ "*": 0.5, "dog-face": 0.3 });
      expect(thresholds(["a=b=0.3", "0.25", "*=0.2", "cat=1"], known)).toEqual({ "*": 0.2, "a=b": 0.3, cat: 1 });
    }
    expect(asksForBest(readThresholds(["0.4", "cat=1"]))).toBe(false);
  });

  it("takes what the training recorded: one for all classes, that of each class, or that of one", () => {
    expect(thresholds(["best"])).toBe(0.42);
    expect(thresholds(["best", "heron=0.1"])).toEqual({ "*": 0.42, heron: 0.1 });
    expect(thresholds(["best-by-class", "cat=0.6"])).toEqual({ ...recorded, cat: 0.6 });
    expect(thresholds(["heron=best", "dog=best"])).toEqual({ "*": 0.5, heron: 0.3, dog: 0.42 });
    for (const value of ["best", "best-by-class", "heron=best"])
      expect(asksForBest(readThresholds([value]))).toBe(true);
  });

  it.each(["best", "best-by-class", "heron=best"])("says that weights have none for %s", (value) => {
    expect(() => thresholds([value], null)).toThrow(
      "Expected weights with a recorded threshold for --threshold best but runs/nano has none: its training recorded no evaluation, or none that any threshold above 0 improves. Give a number, such as --threshold 0.3",
    );
  });

  it("says that no detection was right in an evaluation of AP50 0", () => {
    const of = (AP50: number | null) => noRecorded("runs/nano", AP50, optionText);
    expect(of(0)).toContain("has none: no detection was right in the evaluation of its training. Train longer, or");
    for (const AP50 of [0.2, null]) expect(of(AP50)).toContain("none that any threshold above 0 improves");
  });

  it.each([
    ["high", 'Expected number from 0 to 1, best or best-by-class for threshold but received "high"'],
    ["bset", 'best or best-by-class for threshold but received "bset": did you mean best?'],
    ["by-class", 'for threshold but received "by-class": did you mean best-by-class?'],
    ["=0.3", 'for threshold but received "=0.3"'],
    ["dog=2", "Expected number from 0 to 1 for threshold of dog but received 2"],
    ["dog=", "for threshold of dog but received"],
    ["dog=best-by-class", "for threshold of dog but received"],
  ])("refuses %s", (value, message) => {
    expect(() => readThresholds([value])).toThrow(message);
  });
});

it("are told in words, of many classes some", () => {
  expect(thresholdInWords(0.4)).toBe("0.40");
  expect(thresholdInWords({ "*": 0.42, heron: 0.3 })).toBe("heron 0.30, all others 0.42");
  const many = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`c${i}`, 0.1]));
  expect(thresholdInWords({ "*": 0.42, ...many })).toMatch(/^c0 0.10, .*, c7 0.10, 2 more classes, all others 0.42$/);
});
