import { ops, randn, scope, type Tensor, tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { decodeMask } from "../../masks/mask.js";
import { near } from "../../testing/near.js";
import { postprocess, toArrays } from "./postprocess.js";

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

describe("post-processing of masks", () => {
  const [queries, size] = [40, [30, 50]] as const;
  const spatialFeatures = randn([2, 8, 6, 10]);
  const queryFeatures = randn([2, queries, 8]);
  const bias = tensor([0.25]);
  const predLogits = randn([2, queries, 3]);
  const outputs = {
    predLogits,
    predBoxes: randn([2, queries, 4]).sigmoid(),
    predMasks: { spatialFeatures, queryFeatures, bias },
  };
  const dense = ops.einsum("bchw,bnc->bnhw", [spatialFeatures, queryFeatures]).add(bias);

  it("gives each detection the pixels of its query above 0, at the size of its image", () => {
    const sizes = [size, [5, 7]] as const;
    const found = postprocess(outputs, sizes, 60);
    scope(() => {
      for (const [i, { masks = [], labels }] of found.entries()) {
        const [order] = [ops.sort(predLogits.select(0, i).flatten(), true, { dim: 0, descending: true })[1].toList()];
        const resized = ops.upsampleBilinear2d(dense.narrow(0, i, 1), [...sizes[i]], false).select(0, 0);
        expect(masks.length).toBe(60);
        expect(labels.toList()).toEqual((order as number[]).slice(0, 60).map((at) => at % 3));
        for (const [n, mask] of masks.entries()) {
          const logits = resized
            .select(0, Math.floor((order as number[])[n] / 3))
            .flatten()
            .toList() as number[];
          const bits = decodeMask(mask);
          expect([mask.height, mask.width]).toEqual([...sizes[i]]);
          // Float32 sums in another order.
          logits.forEach((value, at) => {
            if (Math.abs(value) > 1e-5) expect(bits[at]).toBe(value > 0 ? 1 : 0);
          });
        }
      }
    });
  });

  it("gives detections of one query the same mask", () => {
    const [{ masks = [] }] = postprocess(outputs, [size, size], 3 * queries);
    expect(new Set(masks).size).toBe(queries);
  });

  it("leaves out the masks of detections up to the least score", () => {
    const [all, some] = [{}, { leastScore: 0.6 }].map((options) => postprocess(outputs, [size, size], 60, options));
    for (const [i, detections] of some.entries()) {
      const { scores, masks } = toArrays(detections);
      const count = scores.filter((score) => score > 0.6).length;
      expect(count).toBeGreaterThan(0);
      expect(masks).toEqual(all[i].masks?.slice(0, count));
      expect(scores.length).toBe(60);
    }
    expect(postprocess(outputs, [size, size], 5, { leastScore: 1 })[0].masks).toEqual([]);
  });

  it("gives a detection whose mask is not finite no finite score, and one without a finite score a mask", () => {
    const broken = queryFeatures.clone();
    broken.select(0, 1).select(0, 7).fill_(Number.POSITIVE_INFINITY);
    const predMasks = { spatialFeatures, queryFeatures: broken, bias };
    const [first, second] = postprocess({ ...outputs, predMasks }, [size, size], 3 * queries).map(toArrays);
    expect([first, second].map(({ scores }) => scores.filter(Number.isNaN).length)).toEqual([0, 3]);
    const diverged = { ...outputs, predLogits: predLogits.clone() };
    diverged.predLogits.select(0, 0).select(0, 3).fill_(Number.NaN);
    const [{ scores, masks }] = postprocess(diverged, [size, size], 60, { leastScore: 0.5 }).map(toArrays);
    expect([...scores.slice(0, 4)].map(Number.isNaN)).toEqual([true, true, true, false]);
    expect(masks?.length).toBe(scores.filter((score) => !(score <= 0.5)).length);
  });

  it("gives no masks where the model predicts none", () => {
    expect(toArrays(postprocess({ predLogits, predBoxes: outputs.predBoxes }, [size, size], 5)[0])).not.toHaveProperty(
      "masks",
    );
  });

  it("computes in float32 from bfloat16 features, and in parts if the features are large", () => {
    const [many, side] = [9, 1024];
    const features = {
      spatialFeatures: randn([1, 2, side, side], { dtype: "bfloat16" }),
      queryFeatures: randn([1, many, 2], { dtype: "bfloat16" }),
      bias,
    };
    const large = { predLogits: randn([1, many, 1]), predBoxes: zeros([1, many, 4]), predMasks: features };
    const [{ masks = [] }] = postprocess(large, [[3, 3]], many);
    const single = ops.sort(large.predLogits.flatten(), true, { dim: 0, descending: true })[1].toList() as number[];
    for (const [n, query] of single.entries()) {
      const predMasks = { ...features, queryFeatures: features.queryFeatures.narrow(1, query, 1) };
      const alone = { predLogits: zeros([1, 1, 1]), predBoxes: zeros([1, 1, 4]), predMasks };
      expect(masks[n]).toEqual(postprocess(alone, [[3, 3]], 1)[0].masks?.[0]);
    }
  });
});
