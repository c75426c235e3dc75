import { describe, expect, it } from "vitest";
import { suggest } from "./suggest.js";

describe("a suggestion for a misspelt name", () => {
  it.each([
    ["epoch", ["epochs", "lr"], "epochs"],
    ["detections", ["maxDetections", "shape"], "maxDetections"],
    ["num-workers", ["num_workers"], "num_workers"],
    ["restart", ["--start", "--max-restarts"], "--max-restarts"],
    ["train.json", ["my-train.json"], "my-train.json"],
    ["conf-threshold", ["--threshold"], "--threshold"],
  ])("%s among %j is %s", (word, known, meant) => {
    expect(suggest(word, known)).toBe(meant);
  });

  it.each([
    ["start", ["max-restarts"]],
    ["overwrite", ["--write"]],
    ["port", ["thereport"]],
    ["zebra", ["epochs"]],
  ])("%s among %j is none: words are not cut in the middle", (word, known) => {
    expect(suggest(word, known)).toBeUndefined();
  });
});
