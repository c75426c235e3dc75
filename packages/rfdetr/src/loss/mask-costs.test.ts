import { manualSeed, memory, randn, resetPeakMemory, tensor } from "@rfdetr/torch";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { outputsOf, predictions, rectangle, samePoints, target } from "../testing/mask-predictions.js";
import { defaultMaskOptions, logitTemporaries, maskCosts } from "./masks.js";
import { HungarianMatcher } from "./matcher.js";

describe("the costs of masks", () => {
  it("are those of each pair alone", () => {
    const side = fc.integer({ min: 1, max: 5 });
    const real = fc.double({ min: -30, max: 30, noNaN: true });
    fc.assert(
      fc.property(
        side,
        side,
        side,
        fc.infiniteStream(real),
        fc.infiniteStream(fc.boolean()),
        (n, t, p, reals, bits) => {
          const logits = Array.from({ length: n }, () => Array.from({ length: p }, () => reals.next().value as number));
          const truth = Array.from({ length: t }, () => Array.from({ length: p }, () => Number(bits.next().value)));
          // One channel for each point, whose map is 1 at the point alone.
          const spatialFeatures = tensor(
            Float64Array.from({ length: p * p }, (_, i) => Number(i % p === Math.floor(i / p))),
            { shape: [1, p, 1, p] },
          );
          const centres = tensor([Array.from({ length: p }, (_, i) => [(i + 0.5) / p, 0.5])], { dtype: "float64" });
          const features = {
            spatialFeatures,
            queryFeatures: tensor([logits], { dtype: "float64" }),
            bias: tensor([0.5], { dtype: "float64" }),
          };
          const [costs] = maskCosts(features, centres, tensor([truth], { dtype: "float64" }), {
            ce: 2,
            dice: 3,
          }).toList() as number[][][];
          logits.forEach((row, i) => {
            truth.forEach((own, j) => {
              let [ce, both, sum] = [0, 0, 0];
              row.forEach((logit, k) => {
                const x = logit + 0.5;
                const score = 1 / (1 + Math.exp(-x));
                ce += (Math.max(x, 0) - x * own[k] + Math.log1p(Math.exp(-Math.abs(x)))) / p;
                both += score * own[k];
                sum += score + own[k];
              });
              expect(costs[i][j]).toBeCloseTo(2 * ce + 3 * (1 - (2 * both + 1) / (sum + 1)), 7);
            });
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it("decide the matches of queries that are equal in all else, in any order of the targets", () => {
    const pieces = [
      [0, 0, 8, 8],
      [0, 8, 8, 16],
      [8, 0, 16, 16],
    ].map((piece) => rectangle(16, 16, piece));
    const outputs = outputsOf(predictions(pieces, 4, [1, 0, 2, 1]));
    const matcher = new HungarianMatcher(undefined, { ...defaultMaskOptions, draw: samePoints });
    for (const order of [
      [0, 1, 2],
      [2, 0, 1],
      [1, 2, 0],
    ]) {
      const [{ query, target: matched }] = matcher.match(
        [outputs],
        [
          target(
            0,
            order.map((i) => pieces[i]),
          ),
        ],
        1,
      );
      const queryOf = new Map([...matched].map((t, i) => [order[t], query[i]]));
      expect([queryOf.get(0), queryOf.get(2)]).toEqual([1, 2]);
      expect([0, 3]).toContain(queryOf.get(1));
    }
  });

  it("of many images give the matches of each alone, also where their numbers of objects differ", () => {
    manualSeed(5);
    const counts = [0, 3, 1, 5];
    const predMasks = {
      spatialFeatures: randn([counts.length, 4, 8, 8]),
      queryFeatures: randn([counts.length, 6, 4]),
      bias: tensor([0], { dtype: "float32" }),
    };
    const targets = counts.map((count, image) =>
      target(
        image,
        Array.from({ length: count }, (_, i) => rectangle(16, 16, [i, image, i + 9, image + 5 + i])),
      ),
    );
    const matcher = new HungarianMatcher(undefined, { ...defaultMaskOptions, draw: samePoints });
    const [{ batch, query, target: matched }] = matcher.match([outputsOf(predMasks)], targets, 2);
    const found = counts.map((_, image) => [...batch.keys()].filter((i) => batch[i] === image));
    counts.forEach((_, image) => {
      const own = {
        ...predMasks,
        spatialFeatures: predMasks.spatialFeatures.narrow(0, image, 1),
        queryFeatures: predMasks.queryFeatures.narrow(0, image, 1),
      };
      const [alone] = matcher.match([outputsOf(own)], [targets[image]], 2);
      expect(found[image].map((i) => [query[i], matched[i]])).toEqual(
        [...alone.query].map((q, i) => [q, alone.target[i]]),
      );
    });
  });

  it("compare masks of fewer pixels than there are for a point at one point", () => {
    const matcher = new HungarianMatcher();
    const pieces = [rectangle(3, 3, [0, 0, 2, 2])];
    const [{ query }] = matcher.match([outputsOf(predictions(pieces, 4, [0, 0]))], [target(0, pieces)], 1);
    expect([query.length, matcher.sawNonFinite]).toEqual([1, false]);
  });

  it("take memory for some queries at once, not for all", () => {
    const [queries, side, depth] = [3000, 160, 4];
    const predMasks = {
      spatialFeatures: randn([1, depth, side, side]),
      queryFeatures: randn([1, queries, depth]),
      bias: tensor([0], { dtype: "float32" }),
    };
    const layer = outputsOf(predMasks);
    const targets = [
      target(
        0,
        Array.from({ length: 20 }, () => rectangle(320, 320, [0, 0, 160, 160])),
      ),
    ];
    resetPeakMemory();
    const before = memory().liveBytes;
    new HungarianMatcher().match([layer], targets, 1);
    // All sampled logits would be 3000 · 1600 numbers, and there are a few temporaries as large.
    expect(memory().peakBytes - before).toBeLessThan(logitTemporaries * 4 * 1_000_000);
  });
});
