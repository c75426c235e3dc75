import { describe, expect, it } from "vitest";
import { SpeedMeter, secondsLeft } from "./speed.js";

describe("the speed of a run", () => {
  it("is known from the first step on", () => {
    const speed = new SpeedMeter();
    expect(speed.perSecond).toBe(0);
    speed.begin(1000);
    speed.add(8, 3000);
    expect(speed.perSecond).toBe(4);
  });

  it("does not count the time between epochs", () => {
    const speed = new SpeedMeter();
    speed.begin(0);
    speed.add(8, 2000);
    speed.begin(60_000);
    speed.add(8, 62_000);
    expect(speed.perSecond).toBe(4);
  });

  it("follows the last steps", () => {
    const speed = new SpeedMeter(3);
    speed.begin(0);
    for (const at of [8000, 9000, 10_000, 11_000]) speed.add(8, at);
    expect(speed.perSecond).toBe(8);
  });
});

/** Seconds of the first steps of trainings on CPUs: at one size of images, and at changing ones on busy machines. */
const recorded = {
  "one size": [
    0.49, 0.08, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.1, 0.09, 0.09, 0.09, 0.09,
    0.09, 0.09, 0.09, 0.09, 0.1, 0.09, 0.09, 0.09, 0.09, 0.09, 0.09, 0.1, 0.08, 0.09, 0.09, 0.1, 0.09, 0.09, 0.09, 0.09,
    0.08,
  ],
  "many sizes": [
    1.27, 0.26, 0.23, 0.2, 0.15, 0.62, 0.46, 0.21, 0.2, 0.64, 0.43, 0.53, 0.3, 0.21, 0.21, 0.28, 0.19, 0.47, 0.24, 0.59,
    0.16, 0.18, 0.2, 0.25, 0.25, 0.29, 0.16, 0.26, 0.1, 0.76, 0.38, 0.1, 0.1, 0.28, 0.35, 0.33, 0.21, 0.42, 0.4, 0.77,
  ],
  "a machine that is less busy later": [
    3.54, 0.73, 0.72, 1.06, 0.58, 0.37, 0.62, 0.74, 0.6, 0.67, 0.64, 0.62, 0.56, 0.38, 0.49, 0.41, 0.37, 0.41, 0.32,
    0.33, 0.55, 0.36, 0.42, 0.45, 0.31, 0.34, 0.35, 0.36, 0.49, 0.28, 0.51, 0.44, 0.33, 0.66, 0.69, 0.72, 0.57, 0.68,
    0.5, 1.11,
  ],
};

/** What is left of a recorded run after each of its steps as it is estimated, and as it was. */
function estimates(steps: readonly number[]): { estimated: number; was: number }[] {
  const speed = new SpeedMeter();
  const run = { stepsPerEpoch: 1000, settings: { evalInterval: 1 } } as Parameters<typeof secondsLeft>[0];
  let at = 0;
  speed.begin(at);
  return steps.slice(0, -1).map((seconds, i) => {
    at += seconds * 1000;
    speed.add(8, at);
    const estimated = secondsLeft(run, steps.length - 1 - i, { images: 8, speed, evaluation: 0 });
    return { estimated, was: steps.slice(i + 1).reduce((sum, each) => sum + each, 0) };
  });
}

describe("the time that is left", () => {
  it.each(Object.entries(recorded))("is right within a half from the first estimate on: %s", (_, steps) => {
    const all = estimates(steps);
    const first = all.findIndex(({ estimated }) => Number.isFinite(estimated));
    expect(first).toBe(5);
    for (const { estimated, was } of all.slice(first, 25)) {
      expect(estimated / was).toBeLessThan(1.5);
      expect(estimated / was).toBeGreaterThan(1 / 1.5);
    }
  });

  it("of slow steps is told after a few", () => {
    const all = estimates([90, 20, 20, 20, 20]);
    expect(all.map(({ estimated }) => Math.round(estimated))).toEqual([Infinity, Infinity, 40, 20]);
  });

  it("contains the evaluations that are left", () => {
    const speed = new SpeedMeter();
    speed.begin(0);
    for (let step = 1; step <= 6; step++) speed.add(8, step * 1000);
    const run = { stepsPerEpoch: 10, settings: { evalInterval: 2 } } as Parameters<typeof secondsLeft>[0];
    expect(secondsLeft(run, 30, { images: 8, speed, evaluation: 5 })).toBeCloseTo(30 + 2 * 5, 9);
  });

  it("contains evaluations before the first one too, as long as so many images in training, and the test split", () => {
    const speed = new SpeedMeter();
    speed.begin(0);
    for (let step = 1; step <= 6; step++) speed.add(8, step * 1000);
    const left = (runTest: boolean, evaluation: number | null) =>
      secondsLeft(
        {
          ...{ stepsPerEpoch: 10, settings: { evalInterval: 2, runTest }, data: { validImages: 16, testImages: 32 } },
        } as Parameters<typeof secondsLeft>[0],
        30,
        { images: 8, speed, evaluation },
      );
    expect(left(false, null)).toBeCloseTo(30 + 2 * 2, 9);
    expect(left(true, null)).toBeCloseTo(30 + 2 * 2 + 4, 9);
    expect(left(true, 1)).toBeCloseTo(30 + 2 + 2, 9);
  });
});
