import { describe, expect, it } from "vitest";
import type { KnownSelection } from "../../predict/selection.js";
import { NothingFound } from "./nothing-found.js";

const below = (score: number, className = "cat", threshold = 0.5) => ({
  detections: [],
  bestBelow: { classId: 0, className, score, threshold },
});
const found = { detections: [{}] };

/** What is said of images, whose names are letters. */
function said(images: Parameters<NothingFound["add"]>[1][], selection: KnownSelection = {}): string | null {
  const nothing = new NothingFound("images", selection);
  for (const [i, image] of images.entries()) nothing.add(`${"abc"[i]}.jpg`, image);
  return nothing.inWords();
}

describe("what is said where nothing is found", () => {
  it("is nothing where every image has an object", () => {
    expect(said([found, found])).toBe(null);
    expect(said([])).toBe(null);
  });

  it("has the best score, its class and a threshold below it", () => {
    expect(said([below(0.31)])).toBe("no object has a score above 0.5; the best is 0.31 (cat): try --threshold 0.3");
  });

  it("is one sentence for all images", () => {
    expect(said([below(0.21), below(0.43, "dog"), below(0.1)])).toBe(
      "no object has a score above 0.5 in any of 3 images; the best is 0.43 (dog, in b.jpg): try --threshold 0.4",
    );
    expect(said([found, below(0.43), below(0.31)])).toBe(
      "no object has a score above 0.5 in 2 of 3 images; the best there is 0.43 (cat, in b.jpg), which --threshold 0.4 reports",
    );
  });

  it("names the classes that were asked for, also where the model sees none of them", () => {
    expect(said([below(0.2)], { classes: ["cat", "dog"] })).toContain("no cat or dog has a score above 0.5; ");
    expect(said([{ detections: [] }], { classes: ["cat"] })).toBe("the model sees no cat at any score");
    expect(said([found, { detections: [] }], { classes: ["cat"] })).toContain("at any score in 1 of 2 images");
  });

  it("has a threshold for the class where each has its own", () => {
    expect(said([below(0.31, "polar bear", 0.6)], { threshold: { "*": 0.6, dog: 0.5 } })).toBe(
      "no object has a score above its threshold; the best is 0.31 (polar bear, whose threshold is 0.6): try --threshold 'polar bear=0.3'",
    );
  });

  it.each([
    [0.3, "0.30", "0.29"],
    [0.4999, "0.49", "0.45"],
    [0.26, "0.26", "0.25"],
    [0.35, "0.35", "0.34"],
    [0.5, "0.50", "0.49"],
    [0.157, "0.16", "0.15"],
    [0.07, "0.07", "0.06"],
    [Math.fround(0.0501), "0.05", "0.05"],
  ])("shows the score %d as %s, and proposes %s", (score, shown, threshold) => {
    expect(said([below(score)])).toContain(`the best is ${shown} (cat): try --threshold ${threshold}`);
    expect(score).toBeGreaterThan(Number(threshold));
  });

  it("proposes no threshold for scores that are noise", () => {
    expect(said([below(0.00312)])).toBe("no object has a score above 0.5; the best is 0.0031 (cat)");
    expect(said([below(0)])).toContain("the best is 0 (cat)");
  });
});
