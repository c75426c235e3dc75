import { describe, expect, it } from "vitest";
import { Rng } from "../../support/random.js";
import { NoiseScale } from "./noise-scale.js";

/**
 * Steps of `ranks` batches of `images`, whose gradients in 40 dimensions have the square norm 2 and, for each image, a
 * noise of the total variance `noise`.
 */
function estimate(noise: number, ranks: number, images: number, steps: number, seed = 3): NoiseScale {
  const [rng, scale, dimensions] = [new Rng(seed), new NoiseScale(steps), 40];
  const normal = (): number => Math.sqrt(-2 * Math.log(1 - rng.next())) * Math.cos(2 * Math.PI * rng.next());
  const norm = (vector: readonly number[]): number => Math.hypot(...vector);
  for (let step = 0; step < steps; step++) {
    const gradients = Array.from({ length: ranks }, () =>
      Array.from(
        { length: dimensions },
        () => Math.sqrt(2 / dimensions) + Math.sqrt(noise / dimensions / images) * normal(),
      ),
    );
    const mean = gradients[0].map((_, i) => gradients.reduce((sum, each) => sum + each[i], 0) / ranks);
    scale.add({ norms: gradients.map(norm), images, norm: norm(mean) });
  }
  return scale;
}

describe("the gradient noise scale", () => {
  it("is the variance of the gradients of single images over the square of their mean", () => {
    for (const [noise, ranks, images] of [
      [2, 2, 4],
      [40, 2, 8],
      [40, 8, 2],
      [400, 4, 16],
    ]) {
      const value = estimate(noise, ranks, images, 4000).value() ?? Number.NaN;
      expect(Math.abs(value / (noise / 2) - 1), `noise ${noise}, ${ranks} ranks of ${images}`).toBeLessThan(0.1);
    }
  });

  it("is zero where all batches have the same gradient", () => {
    const scale = new NoiseScale();
    for (let i = 0; i < 60; i++) scale.add({ norms: [3, 3], images: 4, norm: 3 });
    expect(scale.value()).toBeCloseTo(0, 12);
  });

  it("does not exist where the gradient drowns in noise, and is not told after a few steps", () => {
    const scale = new NoiseScale();
    // Two gradients of norm 1 at a right angle, and at more than that.
    for (let i = 0; i < 60; i++) scale.add({ norms: [1, 1], images: 4, norm: i % 2 ? Math.SQRT1_2 : 0.5 });
    expect(scale.value()).toBeNull();
    expect(estimate(2, 2, 4, 20).value()).toBeNull();
    expect(estimate(2, 2, 4, 60).value()).not.toBeNull();
  });

  it("leaves out steps that were skipped, and steps of one process", () => {
    const scale = new NoiseScale();
    for (let i = 0; i < 60; i++) scale.add({ norms: [2, 2], images: 4, norm: 1.8 });
    const before = scale.value();
    scale.add({ norms: [2, Number.NaN], images: 4, norm: Number.NaN });
    scale.add({ norms: [2], images: 4, norm: 2 });
    expect(scale.value()).toBe(before);
  });

  it("forgets what lies far back", () => {
    const scale = new NoiseScale(50);
    for (let i = 0; i < 400; i++) scale.add({ norms: [2, 2], images: 4, norm: 2 });
    for (let i = 0; i < 400; i++) scale.add({ norms: [2, 2], images: 4, norm: 1.8 });
    const lately = new NoiseScale(50);
    for (let i = 0; i < 60; i++) lately.add({ norms: [2, 2], images: 4, norm: 1.8 });
    expect(scale.value()).toBeCloseTo(lately.value() ?? Number.NaN, 1);
  });
});
