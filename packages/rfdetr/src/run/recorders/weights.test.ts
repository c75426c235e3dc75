import { describe, expect, it } from "vitest";
import type { EvaluationDetails } from "../../eval/details/evaluation-details.js";
import { thresholdEntries } from "./weights.js";

const details = (threshold: number, f1: number): EvaluationDetails =>
  ({
    best_threshold: { threshold, f1, precision: f1, recall: f1 },
    per_class: [
      { class_name: "cat", best: { threshold: 0.25, f1: 0.5 } },
      { class_name: "dog", best: null },
    ],
  }) as unknown as EvaluationDetails;

describe("the thresholds in the metadata of weights", () => {
  it("are the best for all, and for each class that was found", () => {
    expect(thresholdEntries(details(0.31, 0.6))).toEqual({ thresholds: '{"*":0.31,"cat":0.25}' });
  });

  it.each([
    ["without an evaluation", null],
    ["where nothing was found", details(0.31, 0)],
    ["where none above 0 is better than all detections", details(0, 0.02)],
  ])("are missing %s", (_, evaluation) => {
    expect(thresholdEntries(evaluation)).toEqual({});
  });
});
