import { expect, it } from "vitest";
import { thresholdsOf } from "./thresholds.js";

it("takes a number for all classes, and numbers for single ones", () => {
  expect(thresholdsOf([])).toBe(0.5);
  expect(thresholdsOf(["0.4"])).toBe(0.4);
  expect(thresholdsOf(["dog-face=0.3"])).toEqual({ "*": 0.5, "dog-face": 0.3 });
  expect(thresholdsOf(["a=b=0.3", "0.25", "*=0.2", "cat=1"])).toEqual({ "*": 0.2, "a=b": 0.3, cat: 1 });
});

it.each([
  ["high", 'Expected number from 0 to 1 for threshold but received "high"'],
  ["=0.3", "for threshold but received"],
  ["dog=2", "Expected number from 0 to 1 for threshold of dog but received 2"],
  ["dog=", "for threshold of dog but received"],
])("refuses %s", (value, message) => {
  expect(() => thresholdsOf([value])).toThrow(message);
});
