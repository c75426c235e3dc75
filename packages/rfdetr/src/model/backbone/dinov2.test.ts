import { noGrad, ops, randn, scope, type Tensor, tensor, zeros } from "@rfdetr/torch";
import { describe, expect, it } from "vitest";
import { near } from "../../testing/near.js";
import { resolveModel } from "../variants.js";
import { WindowedDinov2 } from "./dinov2.js";

describe("antialiased bicubic interpolation of positional embeddings", () => {
  it("gives the numbers of PyTorch for a larger and a smaller grid", () => {
    const grid = (side: number, value: (n: number) => number): Tensor =>
      tensor(
        Float32Array.from({ length: side * side }, (_, n) => value(n)),
        { shape: [1, 1, side, side] },
      );
    const grown = ops
      ._upsampleBicubic2dAa(
        grid(3, (n) => n),
        [5, 5],
        false,
      )
      .flatten();
    // The model interpolates in float32. The goldens have five decimals.
    near(grown.narrow(0, 0, 5), [-0.30189, 0.07956, 0.77358, 1.46761, 1.84906], 1e-5);
    near(grown.narrow(0, 12, 1), [4], 1e-5);
    const shrunk = ops._upsampleBicubic2dAa(
      grid(5, (n) => n ** 1.5),
      [3, 3],
      false,
    );
    near(shrunk, [3.84706, 7.79823, 12.93866, 33.83352, 42.08862, 50.88978, 80.14806, 91.04446, 102.36555], 1e-5);
  });
});

describe("windowed DINOv2", () => {
  const globals = (variant: string): number[] => {
    const { layer } = new WindowedDinov2(resolveModel(variant)).encoder;
    return layer.flatMap(({ isGlobal }, i) => (isGlobal ? [i] : []));
  };

  it("attends globally in the layer after each feature, and in windows elsewhere", () => {
    expect(globals("nano")).toEqual([3, 6, 9]);
    expect(globals("base")).toEqual([2, 5, 8, 11]);
    expect(globals("demo")).toEqual([2]);
  });

  it("lets no information pass between windows before the first global layer", () => {
    const config = resolveModel("tiny", { outFeatureIndexes: [2] });
    const encoder = new WindowedDinov2(config).eval();
    noGrad(() =>
      scope(() => {
        const image = randn([1, 3, 96, 96]);
        const changed = image.clone();
        changed.narrow(2, 0, 48).narrow(3, 0, 48).fill_(3);
        const difference = (encoder.call(image) as Tensor[])[0]
          .sub((encoder.call(changed) as Tensor[])[0])
          .abs()
          .amax([0, 1]);
        const quarter = (row: number, column: number): number =>
          difference.narrow(0, row, 6).narrow(1, column, 6).max().item();
        expect(quarter(0, 0)).toBeGreaterThan(0);
        expect([quarter(0, 6), quarter(6, 0), quarter(6, 6)]).toEqual([0, 0, 0]);
      }),
    );
  });

  it("gives no gradient to layers after the last feature and to the mask token", () => {
    const encoder = new WindowedDinov2(resolveModel("tiny", { outFeatureIndexes: [1, 2] }));
    scope(() =>
      (encoder.call(randn([1, 3, 96, 96])) as Tensor[])
        .reduce((sum, map) => sum.add(map.pow(2).sum()), zeros([]))
        .backward(),
    );
    const without = [...encoder.namedParameters()].filter(([, p]) => p.grad === null).map(([key]) => key);
    expect(without.filter((key) => !key.startsWith("encoder.layer.2."))).toEqual(["embeddings.mask_token"]);
    expect(without.length).toBe(1 + [...encoder.encoder.layer[2].namedParameters()].length);
  });

  it("drops residual branches for each window on its own in training, more often in later layers", () => {
    const encoder = new WindowedDinov2(resolveModel("tiny", { outFeatureIndexes: [2] }));
    encoder.setDropPath(0.8);
    expect(encoder.encoder.layer.map(({ dropPath }) => dropPath.p)).toEqual([0, 0.4, 0.8]);
    noGrad(() =>
      scope(() => {
        // All windows have the same content, so they differ only in what was dropped. The second layer can drop its
        // attention, its MLP, both or neither: four kinds of windows at most.
        encoder.embeddings.positionEmbeddings.zero_();
        const quarter = randn([1, 3, 48, 48]);
        const image = ops.cat([ops.cat([quarter, quarter], { dim: 2 }), ops.cat([quarter, quarter], { dim: 2 })], {
          dim: 3,
        });
        const kinds = (): number => {
          const map = (encoder.call(image.expand([16, -1, -1, -1])) as Tensor[])[0];
          const values = map.select(1, 0).slice(1, 0, 12, 6).slice(2, 0, 12, 6).flatten().toList() as number[];
          return new Set(values.map((x) => x.toFixed(4))).size;
        };
        expect(kinds()).toBeGreaterThan(1);
        expect(kinds()).toBeLessThanOrEqual(4);
        encoder.setDropPath(0);
        expect(kinds()).toBe(1);
        encoder.setDropPath(0.8);
        encoder.eval();
        expect(kinds()).toBe(1);
      }),
    );
    expect(() => encoder.setDropPath(1)).toThrow(
      "Expected a number from 0 to below 1 for the drop path but received 1",
    );
  });
});
