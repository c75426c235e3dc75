import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Session } from "../session/session.js";
import { initialProgress } from "./progress.js";
import { stepsWithin, TimeBudget } from "./time-budget.js";

/** A run of 100 epochs of 100 steps, of which nothing is done. */
function session(timeBudget: number | null, settings: object = {}): Session {
  const all = { maxSteps: null, epochs: 100, evalInterval: 1, runTest: false, timeBudget, ...settings };
  const data = { trainImages: 400, validImages: 40, testImages: 40 };
  const steps = { stepsPerEpoch: 100, mostSteps: 10_000, totalSteps: 10_000 };
  return { settings: all, data, progress: initialProgress(), ...steps } as unknown as Session;
}

/** Takes steps of one second, and evaluates after each epoch, until the run ends. @returns its seconds */
function train(run: Session, { step = 1, evaluation = 5 } = {}): { seconds: number; told: string[] } {
  const budget = new TimeBudget(run, () => new Date(2026, 0, 1, 12, 0));
  const { progress } = run;
  const told: string[] = [];
  let seconds = 0;
  while (progress.step < run.totalSteps) {
    progress.step++;
    progress.trainSeconds += step;
    seconds += step;
    const message = budget.step(step);
    if (message !== null) told.push(message);
    if (progress.step % run.stepsPerEpoch !== 0 && progress.step < run.totalSteps) continue;
    seconds += evaluation;
    budget.epoch(evaluation, true);
  }
  return { seconds, told };
}

describe("the time budget of a run", () => {
  it("has room for its steps, the evaluations between them, and one at the end", () => {
    // 9 · 100 steps, 9 evaluations of 10 s, and 10 s for the last.
    expect(stepsWithin(1000, { step: 1, evaluation: 10, interval: 100 })).toBe(900);
    expect(stepsWithin(5, { step: 1, evaluation: 10, interval: 100 })).toBe(0);
  });

  it("is used up, and not exceeded, whatever the speed", () => {
    const figures = {
      step: fc.double({ min: 0.01, max: 20, noNaN: true }),
      evaluation: fc.integer({ min: 0, max: 60 }),
    };
    fc.assert(
      fc.property(fc.record(figures), fc.integer({ min: 1000, max: 5000 }), (speed, seconds) => {
        const run = session(seconds);
        const used = train(run, speed).seconds;
        expect(used).toBeLessThanOrEqual(seconds + speed.step);
        // Before its first evaluation, after 100 steps, a run can only guess how long one takes.
        const couldMore = 2 * speed.step + speed.evaluation + 0.02 * seconds;
        if (run.totalSteps > 100 && run.totalSteps < run.mostSteps)
          expect(used).toBeGreaterThanOrEqual(seconds - couldMore);
      }),
      { numRuns: 200 },
    );
  });

  it("leaves a run alone that has none, or that ends before", () => {
    for (const [seconds, told] of [
      [null, []],
      [1e6, ["At this speed all 10,000 steps fit into the time budget of 277:46:40"]],
    ] as const) {
      const run = session(seconds);
      expect(train(run).told).toEqual(told);
      expect(run.progress).toMatchObject({ step: 10_000 });
      expect(run.progress.plannedSteps).toBeUndefined();
    }
  });

  it("tells once what it has room for, and saves the plan for a run that is continued", () => {
    const run = session(1000);
    // After 13 s: 888 steps, 8.9 evaluations of 10 s, as long as so many images take in training, and one at the end.
    expect(train(run).told).toEqual([
      "The time budget of 16:40 has room for 901 of 10,000 steps, 9.0 epochs, until 12:16",
    ]);
    expect(run.progress.plannedSteps).toBe(run.totalSteps);
  });

  it("says for how many epochs there are steps, once that is planned", () => {
    const epochs = (run: Session): (number | null)[] => {
      const budget = new TimeBudget(run);
      return Array.from({ length: 13 }, () => {
        run.progress.step++;
        run.progress.trainSeconds++;
        budget.step(1);
        return budget.plannedEpochs;
      }).slice(-2);
    };
    expect(epochs(session(null))).toEqual([100, 100]);
    expect(epochs(session(1000))).toEqual([null, 10]);
    expect(epochs(session(1e6))).toEqual([null, 100]);
    // A run that is continued has the plan of before.
    const continued = session(1000);
    continued.progress.plannedSteps = continued.totalSteps = 850;
    expect(new TimeBudget(continued).plannedEpochs).toBe(9);
  });

  it("keeps time for the test split", () => {
    const [without, run] = [session(1000), session(1000, { runTest: true })];
    for (const each of [without, run]) train(each);
    expect(without.totalSteps - run.totalSteps).toBeGreaterThanOrEqual(4);
  });

  it("takes no more steps after the last one, however short its evaluation was", () => {
    const run = session(1000);
    const budget = new TimeBudget(run);
    for (let i = 0; i < 20; i++) budget.step(1);
    run.progress.step = run.totalSteps = 500;
    run.progress.trainSeconds = 500;
    budget.epoch(0, true);
    expect(run.totalSteps).toBe(500);
  });

  it("leaves a step more after an epoch that was not evaluated, so that the last one is", () => {
    const run = session(1000);
    const budget = new TimeBudget(run);
    for (let i = 0; i < 20; i++) budget.step(1);
    run.progress.step = 500;
    run.progress.trainSeconds = 1000;
    budget.epoch(0, false);
    expect(run.totalSteps).toBe(501);
  });

  it("of a run that goes on is planned from the steps it has taken", () => {
    const run = session(1000);
    train(run);
    const { step } = run.progress;
    run.settings.timeBudget = 2000;
    new TimeBudget(run).goOn();
    expect(run.totalSteps).toBeGreaterThan(2 * step - 10);
    expect(run.totalSteps).toBeLessThan(2 * step + 10);
    run.settings.timeBudget = null;
    new TimeBudget(run).goOn();
    expect(run.totalSteps).toBe(10_000);
    expect(run.progress.plannedSteps).toBeUndefined();
  });

  it("ends a run that has used it at the next step", () => {
    const run = session(100);
    run.progress.trainSeconds = 200;
    expect(train(run).seconds).toBeLessThan(10);
  });
});
