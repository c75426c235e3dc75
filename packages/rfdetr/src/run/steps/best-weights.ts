// Which of the weights of an epoch count, and whether they are the best so far.
import { type CocoSummary, mainFigures } from "../../eval/coco/coco-summary.js";
import type { TrainSettings } from "../../settings/settings.js";

/** The judgement of an epoch's weights. */
export interface EpochVerdict {
  /** Figures of the better weights; null where the epoch was not evaluated. */
  chosen: CocoSummary | null;
  /** Whether those that are not averaged are the better ones. */
  baseWins: boolean;
  /** The chosen metric (`best_model_metric`) of the better weights; null where it is not defined. */
  figure: number | null;
  /** The figure that early stopping watches. */
  watched: number | null;
  /** Whether `figure` is higher than every one before, or, as they, 0. */
  best: boolean;
}

/**
 * Compares the evaluations of an epoch with each other and with the best epoch before.
 * @param epoch counted from 1
 * @param before the best figure so far, or null
 * @param summary figures of the weights that would be shipped, and `base` of those that are not averaged; null where
 * not evaluated
 * @param state `usable`: false for weights that diverged, or that no step has changed, which are never the best.
 * `healthy`: false where the loss exploded; such weights are the best only if they find something
 */
export function judgeEpoch(
  settings: TrainSettings,
  epoch: number,
  before: number | null,
  { summary, base }: { summary: CocoSummary | null; base: CocoSummary | null },
  { usable, healthy }: { usable: boolean; healthy: boolean } = { usable: true, healthy: true },
): EpochVerdict {
  const shippedFigure = figureOf(settings, summary);
  const baseFigure = figureOf(settings, base);
  const baseWins = baseFigure !== null && (shippedFigure === null || baseFigure > shippedFigure);
  const figure = baseWins ? baseFigure : shippedFigure;
  return {
    chosen: baseWins ? base : summary,
    baseWins,
    figure,
    watched: settings.earlyStoppingUseEma ? (shippedFigure ?? figure) : figure,
    best:
      usable &&
      figure !== null &&
      (healthy || figure > 0) &&
      epoch > settings.skipBestEpochs &&
      // Of weights that find nothing, those that have learned longest are the nearest to finding something.
      (before === null || figure > before || (figure === 0 && before === 0)),
  };
}

/** The chosen metric: of masks where the model has them, otherwise of boxes. */
function figureOf({ bestModelMetric, evalMaxDets }: TrainSettings, summary: CocoSummary | null): number | null {
  if (summary === null) return null;
  const figures = mainFigures(summary);
  return bestModelMetric === "map" ? figures.AP : figures[`AR${evalMaxDets}`];
}
