import { expect, it } from "vitest";
import { reportedFrom } from "./doctor-threshold.js";

const recorded = { "*": 0.26, heron: 0.4 };

it("the threshold is the best one of the weights, that of predict where they have none, or the one that is given", () => {
  const best = { threshold: 0.26, from: "the best one in the evaluation of the weights' training" };
  expect(reportedFrom(undefined, recorded, "w")).toEqual(best);
  expect(reportedFrom("best", recorded, "w")).toEqual(best);
  expect(reportedFrom(undefined, null, "w")).toEqual({ threshold: 0.5, from: "the default of predict" });
  expect(reportedFrom("0.1", recorded, "w")).toEqual({ threshold: 0.1, from: "--threshold" });
});

it("refuses what is no threshold for all classes, and the best one of weights that have none", () => {
  expect(() => reportedFrom("heron=0.3", recorded, "w")).toThrow(
    'Expected number from 0 to 1 or best for threshold but received "heron=0.3"',
  );
  expect(() => reportedFrom("best-by-class", recorded, "w")).toThrow("or best for threshold but received");
  expect(() => reportedFrom("2", recorded, "w")).toThrow(/Expected .* from 0 to 1/);
  expect(() => reportedFrom("best", null, "w")).toThrow(/recorded threshold for --threshold best but w has none/);
});
