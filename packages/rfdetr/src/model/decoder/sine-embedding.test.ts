import { tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { near } from "../../testing/near.js";
import { sineEmbedding } from "./sine-embedding.js";

describe("sine embedding of boxes", () => {
  it("embeds y, x, width, height in this order, with sine and cosine interleaved", () => {
    const embedded = sineEmbedding(tensor([[0.25, 0.5, 0.1, 0.2]], { dtype: "float64" }), 4);
    expect(embedded.shape).toEqual([1, 16]);
    near(
      embedded,
      [
        0, -1, 0.031411, 0.999507, 1, 0, 0.015707, 0.999877, 0.587785, 0.809017, 0.006283, 0.99998, 0.951057, 0.309017,
        0.012566, 0.999921,
      ],
    );
  });

  it("keeps the dtype of the boxes", () => {
    for (const dtype of ["float32", "float64"] as const)
      expect(sineEmbedding(zeros([1, 4], { dtype }), 4).dtype).toBe(dtype);
  });
});
