import { type Tensor, tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { near } from "../../testing/near.js";
import { postprocess } from "./postprocess.js";

describe("post-processing", () => {
  const outputs = (logits: Tensor, boxes: Tensor) => ({ predLogits: logits, predBoxes: boxes });
  const large = tensor([
    [
      [0.5, 0.5, 2, 2],
      [0.5, 0.5, 2, 2],
      [0.5, 0.5, 2, 2],
    ],
  ]);

  it("orders equal scores by query, then class, and clamps boxes to the image", () => {
    const [{ scores, labels, boxes }] = postprocess(outputs(zeros([1, 3, 4]), large), [[100, 200]], 12);
    expect(labels.toList()).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
    expect(new Set(scores.toList() as number[])).toEqual(new Set([0.5]));
    expect(new Set((boxes.toList() as number[][]).map(String))).toEqual(new Set(["0,0,200,100"]));
  });

  it("returns all pairs if numSelect is larger than their number", () => {
    expect(postprocess(outputs(zeros([1, 3, 4]), large), [[10, 10]], 300)[0].scores.shape).toEqual([12]);
  });

  it("treats boxes with negative width and height as empty", () => {
    const box = tensor([[[0.5, 0.25, -1, -1]]]);
    near(postprocess(outputs(zeros([1, 1, 1]), box), [[100, 200]], 1)[0].boxes, [100, 25, 100, 25]);
  });

  it("computes in float32 from bfloat16 logits and float16 boxes", () => {
    const [{ scores, boxes }] = postprocess(
      outputs(zeros([1, 3, 4], { dtype: "bfloat16" }), large.to("float16")),
      [[100, 200]],
      2,
    );
    expect([scores.dtype, boxes.dtype]).toEqual(["float32", "float32"]);
  });
});
