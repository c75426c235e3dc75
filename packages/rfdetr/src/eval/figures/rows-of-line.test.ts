import { describe, expect, it } from "vitest";
import { rowsOfLine } from "./rows-of-line.js";

const nothing = { "train/loss": null, "val/AP": null, "val/AP75": null, "birds/seen": null };
const rows = [
  { ...nothing, epoch: 1, "train/loss": 3 },
  { ...nothing, epoch: 2, "train/loss": Number.NaN, "val/AP": 0.1, "birds/seen": 7 },
  { ...nothing, epoch: 3, "train/loss": 1, "val/AP": 0.2, "val/AP75": 0.1 },
];

describe("the epochs of a line", () => {
  it.each([
    ["val/AP75", "that were evaluated, also where the evaluation has not this figure", [2, 3]],
    ["train/loss", "that were trained, also where the loss is not finite", [1, 2, 3]],
    ["lr", "that were trained", [1, 2, 3]],
    ["birds/seen", "for which a callback recorded it", [2]],
  ])("of %s are those %s", (column, _, epochs) => {
    expect(rowsOfLine(rows, column).map(({ epoch }) => epoch)).toEqual(epochs);
  });
});
