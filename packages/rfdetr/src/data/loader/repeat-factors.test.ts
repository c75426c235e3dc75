import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { balanceLines, classShares } from "./class-balance.js";
import { classWeights } from "./class-weights.js";
import { repeatFactors, samplingOf, sumOf } from "./repeat-factors.js";
import { epochOrder, epochPlaces } from "./sampler.js";

const image = (...labels: number[]) => ({ labels: Int32Array.from(labels) });
/** 100 images: all have class 0, 16 class 1 as well, one class 2, and the last has none. */
const images = Array.from({ length: 100 }, (_, i) =>
  i === 99 ? image() : image(0, 0, ...(i < 16 ? [1] : []), ...(i === 20 ? [2] : [])),
);
const counts = (order: ArrayLike<number>, length: number): number[] => {
  const found = Array.from({ length }, () => 0);
  for (const index of Array.from(order)) found[index]++;
  return found;
};

describe("repeat factors", () => {
  it("are those of LVIS: √(t ÷ f) of the rarest class of an image, 1 at least", () => {
    const factors = repeatFactors(images, 0.25);
    expect(factors[0]).toBeCloseTo(Math.sqrt(0.25 / 0.16), 12);
    expect(factors[20]).toBeCloseTo(Math.sqrt(0.25 / 0.01), 12);
    expect([factors[50], factors[99]]).toEqual([1, 1]);
    expect(samplingOf(images, 0)).toBeNull();
  });

  it("give each image its number of places, the same for the same seed and epoch", () => {
    const sampling = samplingOf(images, 0.25);
    const epochs = Array.from({ length: 400 }, (_, epoch) =>
      epochOrder(100, { effectiveBatch: 8, seed: 5, epoch, sampling }),
    );
    const places = epochPlaces(100, 8, sampling);
    expect(places % 8).toBe(0);
    expect(places).toBe(8 * Math.ceil(Math.round(sumOf(repeatFactors(images, 0.25))) / 8));
    expect(epochs.every((order) => order.length === places)).toBe(true);
    expect(epochOrder(100, { effectiveBatch: 8, seed: 5, epoch: 3, sampling })).toEqual(epochs[3]);
    expect(epochOrder(100, { effectiveBatch: 8, seed: 6, epoch: 3, sampling })).not.toEqual(epochs[3]);
    const factors = (sampling?.factors ?? []) as Float64Array;
    const scale = places / sumOf(factors);
    const perEpoch = epochs.map((order) => counts(order, 100));
    for (const [i, factor] of factors.entries()) {
      const times = perEpoch.map((found) => found[i]);
      expect(Math.min(...times)).toBeGreaterThanOrEqual(Math.floor(factor * scale));
      expect(Math.max(...times)).toBeLessThanOrEqual(Math.ceil(factor * scale));
      expect(times.reduce((a, b) => a + b) / epochs.length).toBeCloseTo(factor * scale, 0);
    }
  });

  it("leave every epoch whole batches, whatever the factors and shares are", () => {
    const factor = fc.double({ min: 0.01, max: 30, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(factor, { minLength: 1, maxLength: 60 }),
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        (list, seed, batch) => {
          const sampling = { factors: Float64Array.from(list), parts: [{ from: 0, to: list.length, share: null }] };
          const order = epochOrder(list.length, { effectiveBatch: batch, seed, epoch: 0, sampling });
          expect(order.length).toBe(epochPlaces(list.length, batch, sampling));
          expect([...order].every((index) => index >= 0 && index < list.length)).toBe(true);
        },
      ),
    );
  });
});

describe("shares of datasets", () => {
  const parts = [
    { from: 0, to: 80, share: 0.25 },
    { from: 80, to: 100, share: 0.75 },
  ];

  it("are those of the places of every epoch, to within one", () => {
    const sampling = samplingOf(images, 0, parts);
    for (let epoch = 0; epoch < 20; epoch++) {
      const order = epochOrder(100, { effectiveBatch: 4, seed: 1, epoch, sampling });
      expect(order.length).toBe(100);
      expect(Math.abs(order.filter((index) => index < 80).length - 25)).toBeLessThanOrEqual(1);
    }
    // Images of a dataset with a small share come by turns: none is left out for good.
    const seen = new Set(
      Array.from({ length: 60 }, (_, epoch) => [
        ...epochOrder(100, { effectiveBatch: 4, seed: 1, epoch, sampling }),
      ]).flat(),
    );
    expect(seen.size).toBe(100);
  });

  it("hold together with repeat factors", () => {
    const sampling = samplingOf(images, 0.25, parts);
    const factors = sampling?.factors as Float64Array;
    expect(sumOf(factors.subarray(0, 80)) / sumOf(factors)).toBeCloseTo(0.25, 12);
    expect(factors[20] / factors[50]).toBeCloseTo(5, 12);
  });
});

describe("weights of classes", () => {
  it("are a power of the inverse number of boxes, 1 on average over the boxes", () => {
    // What scikit-learn's compute_class_weight("balanced") gives: n ÷ (classes · boxes of the class).
    expect(classWeights(1, ["a", "b"], [30, 10])).toEqual([40 / 60, 40 / 20]);
    const [a, b, none] = classWeights(0.5, ["a", "b", "c"], [90, 10, 0]) as number[];
    expect(b / a).toBeCloseTo(3, 12);
    expect((90 * a + 10 * b) / 100).toBeCloseTo(1, 12);
    expect(none).toBe(1);
    expect(classWeights(0, ["a"], [3])).toBeNull();
  });

  it("may be named, and must be named after classes", () => {
    expect(classWeights({ b: 3 }, ["a", "b"], [30, 10])).toEqual([1, 3]);
    expect(classWeights({ b: 1 }, ["a", "b"], [30, 10])).toBeNull();
    expect(() => classWeights({ hern: 2 }, ["heron", "owl"], [1, 1])).toThrow(
      'Expected names of classes in class_weights, ["heron","owl"], but received hern: did you mean heron?',
    );
  });

  it("are listed with what sampling does, the rarest class first", () => {
    const shares = classShares(images, 3, samplingOf(images, 0.25));
    expect([...shares.images]).toEqual([99, 16, 1]);
    expect(balanceLines(["gull", "owl", "heron"], shares, [1, 2, 30])).toEqual([
      "heron: 1 image, 1 box, 0.47 % → 2.09 % of the boxes, weight 30.00",
      "owl: 16 images, 16 boxes, 7.44 % → 8.37 % of the boxes, weight 2.00",
      "gull: 99 images, 198 boxes, 92.09 % → 89.54 % of the boxes, weight 1.00",
    ]);
    const many = Array.from({ length: 25 }, (_, i) => `class ${i}`);
    expect(balanceLines(many, classShares(images, 25, null), null).at(-1)).toBe("and 5 more frequent classes");
  });
});
