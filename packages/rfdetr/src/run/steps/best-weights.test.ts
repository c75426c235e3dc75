import { describe, expect, it } from "vitest";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import { resolveSettings } from "../../settings/resolve.js";
import { judgeEpoch } from "./best-weights.js";

const figures = (AP: number | null, AR100: number | null = 0): CocoSummary => ({ AP, AR100 }) as unknown as CocoSummary;
const settings = (options = {}) => resolveSettings({ datasetDir: "-", ...options });

describe("the weights of an epoch", () => {
  it("are the best where their figure is higher than every one before, not where it is equal", () => {
    for (const [before, best] of [
      [null, true],
      [0.4, true],
      [0.5, false],
    ] as const)
      expect(judgeEpoch(settings(), 1, before, { summary: figures(0.5), base: null })).toMatchObject({
        best,
        figure: 0.5,
      });
  });

  it("are the best as long as no epoch has found anything", () => {
    const nothing = { summary: figures(0), base: null };
    expect(judgeEpoch(settings(), 2, 0, nothing).best).toBe(true);
    expect(judgeEpoch(settings(), 3, 0.1, nothing).best).toBe(false);
  });

  it("cannot be the best without an evaluation, or in the first epochs with skip_best_epochs", () => {
    expect(judgeEpoch(settings(), 1, null, { summary: null, base: null })).toMatchObject({
      best: false,
      figure: null,
      chosen: null,
    });
    const skipping = settings({ skipBestEpochs: 2 });
    for (const epoch of [1, 2, 3])
      expect(judgeEpoch(skipping, epoch, null, { summary: figures(0.5), base: null }).best).toBe(epoch > 2);
  });

  it("are not the best by a figure that is not defined, which early stopping does not see either", () => {
    for (const bestModelMetric of ["map", "mar"])
      for (const earlyStoppingUseEma of [true, false]) {
        const nothing = { summary: figures(null, null), base: figures(null, null) };
        expect(judgeEpoch(settings({ bestModelMetric, earlyStoppingUseEma }), 1, null, nothing)).toMatchObject({
          best: false,
          figure: null,
          watched: null,
        });
      }
  });

  it("are judged by their masks where the model has them, not by their boxes", () => {
    const of = (masks: CocoSummary, boxes = figures(0.9, 0.9)) => ({ ...boxes, masks });
    const judged = (bestModelMetric: string, before: number) =>
      judgeEpoch(settings({ bestModelMetric }), 1, before, { summary: of(figures(0.3, 0.4)), base: null });
    expect(judged("map", 0.2)).toMatchObject({ best: true, figure: 0.3, watched: 0.3 });
    expect(judged("map", 0.5)).toMatchObject({ best: false, figure: 0.3 });
    expect(judged("mar", 0.35)).toMatchObject({ best: true, figure: 0.4 });
    const base = of(figures(0.35), figures(0.1));
    expect(judgeEpoch(settings(), 1, null, { summary: of(figures(0.3)), base })).toMatchObject({
      baseWins: true,
      figure: 0.35,
    });
    const none = { summary: of(figures(null)), base: null };
    expect(judgeEpoch(settings(), 1, null, none)).toMatchObject({ best: false, figure: null });
  });

  it("are not the best when they diverged, or where the loss exploded and they find nothing", () => {
    const best = (AP: number, state: { usable: boolean; healthy: boolean }) =>
      judgeEpoch(settings(), 1, null, { summary: figures(AP), base: null }, state).best;
    expect(best(0.5, { usable: false, healthy: true })).toBe(false);
    expect(best(0, { usable: true, healthy: false })).toBe(false);
    expect(best(0.5, { usable: true, healthy: false })).toBe(true);
    expect(best(0, { usable: true, healthy: true })).toBe(true);
  });

  it("are those that are not averaged where these are better", () => {
    const better = judgeEpoch(settings(), 1, 0.55, { summary: figures(0.5), base: figures(0.6) });
    expect(better).toMatchObject({ baseWins: true, best: true, figure: 0.6, watched: 0.6, chosen: { AP: 0.6 } });
    expect(judgeEpoch(settings(), 1, null, { summary: figures(0.5), base: figures(0.5) })).toMatchObject({
      baseWins: false,
    });
  });

  it("are compared by best_model_metric, and watched by the average alone with early_stopping_use_ema", () => {
    const both = { summary: figures(0.5, 0.8), base: figures(0.6, 0.7) };
    expect(judgeEpoch(settings({ bestModelMetric: "mar" }), 1, null, both)).toMatchObject({
      baseWins: false,
      figure: 0.8,
    });
    expect(judgeEpoch(settings({ earlyStoppingUseEma: true }), 1, null, both)).toMatchObject({
      figure: 0.6,
      watched: 0.5,
    });
  });
});
