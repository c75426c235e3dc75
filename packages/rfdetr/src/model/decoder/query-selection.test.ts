import { ops, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { near } from "../../testing/near.js";
import { gridProposals } from "./query-selection.js";

describe("grid proposals", () => {
  it("are centred on the tokens, with one size for each level", () => {
    const { boxes, valid } = gridProposals(
      [
        [2, 3],
        [1, 1],
      ],
      zeros([1], { dtype: "float64" }),
    );
    const centres = [1 / 4, 3 / 4].flatMap((y) => [1 / 6, 1 / 2, 5 / 6].map((x) => [x, y, 0.05, 0.05]));
    near(boxes, [...centres, [0.5, 0.5, 0.1, 0.1]].flat(), 1e-7);
    expect(valid.flatten().toList()).toEqual(Array(7).fill(1));
  });

  it.each([
    [44, 0],
    [50, 196],
    [52, 204],
    [60, 236],
    [64, 252],
  ])(
    "of a grid with %i tokens on a side are invalid at %i tokens: its border, from 50 tokens on a side",
    (side, invalid) => {
      const { boxes, valid } = gridProposals([[side, side]], zeros([1]));
      expect(side * side - valid.sum().item()).toBe(invalid);
      expect(ops.mul(boxes, valid.mul(-1).add(1)).abs().max().item()).toBe(0);
    },
  );
});
