import { tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { near } from "../../testing/near.js";
import { refineBoxes } from "./box-refinement.js";

const wide = { dtype: "float64" } as const;

describe("box refinement", () => {
  it("shifts the centre in units of the box size and scales the size by an exponential", () => {
    near(
      refineBoxes(tensor([[1, -0.5, Math.log(2), 0]], wide), tensor([[0.5, 0.5, 0.2, 0.4]], wide)),
      [0.7, 0.3, 0.4, 0.4],
      1e-12,
    );
  });

  it("computes in the dtype of the reference boxes, whatever the dtype of the deltas", () => {
    expect(refineBoxes(zeros([1, 4], { dtype: "bfloat16" }), zeros([1, 4])).dtype).toBe("float32");
  });
});
