import { describe, expect, it } from "vitest";
import type { Detection } from "../model/types.js";
import { lowestThreshold } from "../support/thresholds.js";
import { bestBelow, checkSelection, type KnownSelection, select } from "./selection.js";

const names = ["cat", "dog", "bird"];
const detections: Detection[] = [0.9, 0.8, 0.7, 0.6, 0.4, 0.2].map((score, i) => ({
  box: [0, 0, 1, 1],
  score,
  classId: i % 3,
  className: names[i % 3],
}));
const kept = (selection: KnownSelection) => select(detections, selection).map(({ score }) => score);

describe("a selection of detections", () => {
  it.each<[KnownSelection, number[], number]>([
    [{}, [0.9, 0.8, 0.7, 0.6], 0.5],
    [{ threshold: 0.8 }, [0.9], 0.8],
    [{ threshold: { dog: 0.3 } }, [0.9, 0.8, 0.7, 0.6, 0.4], 0.3],
    [{ threshold: { dog: 0.9 } }, [0.9, 0.7, 0.6], 0.5],
    [{ threshold: { "*": 0.65, bird: 0.1 } }, [0.9, 0.8, 0.7, 0.2], 0.1],
    [{ threshold: { "*": 0.65, bird: undefined } as never }, [0.9, 0.8, 0.7], 0.65],
    [{ classes: ["bird", "cat"] }, [0.9, 0.7, 0.6], 0.5],
    [{ classes: [] }, [], 0.5],
    [{ threshold: 0, maxDetections: 2 }, [0.9, 0.8], 0],
    [{ threshold: { "*": 0 }, classes: ["dog"], maxDetections: 1 }, [0.8], 0],
  ])("%j keeps the scores %j, all above %d", (selection, scores, lowest) => {
    expect(kept(selection)).toEqual(scores);
    expect(lowestThreshold(selection)).toBe(lowest);
  });

  it("has the best of what is not reported, of the wanted classes, with its threshold", () => {
    const below = (selection: KnownSelection) => bestBelow(detections, selection);
    expect(below({ threshold: 0.95 })).toEqual({ classId: 0, className: "cat", score: 0.9, threshold: 0.95 });
    expect(below({ threshold: { "*": 0.95, dog: 0.85 }, classes: ["dog", "bird"] })).toEqual({
      classId: 1,
      className: "dog",
      score: 0.8,
      threshold: 0.85,
    });
    expect(below({ classes: [] })).toBe(undefined);
    expect(bestBelow([], {})).toBe(undefined);
  });

  it("names classes of the model, rows without a name included", () => {
    const known = { classes: ["cat", "class 7"], threshold: { "*": 0.1, dog: 0.2 } };
    expect(() => checkSelection(known, names)).not.toThrow();
    const message = "Expected a class of the model (cat, dog, bird) but received brid: did you mean bird?";
    expect(() => checkSelection({ classes: ["brid"] }, names)).toThrow(message);
    expect(() => checkSelection({ threshold: { brid: 0.5 } }, names)).toThrow(message);
    expect(() => checkSelection({ classes: ["__background__"] }, names)).toThrow("Expected a class of the model");
  });
});
