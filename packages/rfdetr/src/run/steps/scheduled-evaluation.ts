// Evaluation during a run: its progress as events, with the averaged weights in the model meanwhile.
import type { CocoEvaluator } from "../../eval/coco/coco.js";
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import { evaluationDetails } from "../../eval/details/describe-evaluation.js";
import { type EvaluationDetails, mainDetails } from "../../eval/details/evaluation-details.js";
import { type SplitLoss, ValidationLoss } from "../../eval/validation-loss.js";
import { counted } from "../../support/format.js";
import type { EvaluationEvent, NoteEvent } from "../events/events.js";
import type { Session } from "../session/session.js";
import { useBest, withAverage } from "../session/session-state.js";

/**
 * Scores the weights that would be shipped (`shipped`: the averaged ones, where there is an average), or those in the
 * model (`own`).
 * @returns the filled evaluator; null if the run was asked to stop meanwhile
 */
async function* scheduledEvaluation(
  session: Session,
  which: "shipped" | "own",
  split: "valid" | "test",
  stopRequested: () => boolean,
  loss?: ValidationLoss,
): AsyncGenerator<EvaluationEvent, CocoEvaluator | null> {
  const { settings, data, parts } = session;
  const totalImages = split === "valid" ? data.validImages : data.testImages;
  const done: number[] = [];
  let wake = () => {};
  let running = true;
  const batch = settings.evalBatchSize ?? settings.batchSize;
  const run = () =>
    session.leader.evaluate(
      { split, batch, shipped: which === "shipped" },
      {
        model: parts.model,
        autocast: session.evaluationAutocast,
        device: parts.device,
        classNames: data.classNames,
        batches: data.evaluation(split, batch),
        maxDets: settings.evalMaxDets,
        ...(loss === undefined ? {} : { loss }),
        progress: (images) => {
          done.push(images);
          wake();
          return !stopRequested();
        },
      },
    );
  const work = (which === "shipped" ? withAverage(session, run) : run()).finally(() => {
    running = false;
    wake();
  });
  // A failure is thrown below, where the result is awaited.
  work.catch(() => {});
  while (running || done.length > 0) {
    for (const images of done.splice(0)) yield { type: "evaluation", images, totalImages };
    if (running && done.length === 0)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  }
  return await work;
}

/** What the evaluation of an epoch gives. */
export interface EpochFigures {
  summary: CocoSummary | null;
  base: CocoSummary | null;
  /** Everything about `summary`, also `baseDetails` about `base`. */
  summaryDetails: EvaluationDetails | null;
  baseDetails: EvaluationDetails | null;
  /** Detections that were left out of `summary` because they are not finite. */
  nonFinite: number;
  /** The loss of the weights that would be shipped; null where it was not computed. */
  loss: SplitLoss | null;
}

/** What an epoch gives that is not evaluated. */
export const notEvaluated: EpochFigures = {
  summary: null,
  base: null,
  summaryDetails: null,
  baseDetails: null,
  nonFinite: 0,
  loss: null,
};

/**
 * Scores the weights at the end of an epoch: those that would be shipped, and with `eval_base_model` those that are not
 * averaged.
 * @returns the figures of both (`base` null where it is not asked for), and the number of detections of the first that
 * were not finite; null if the run was asked to stop meanwhile
 */
export async function* evaluateEpoch(
  session: Session,
  stopRequested: () => boolean,
): AsyncGenerator<EvaluationEvent | NoteEvent, EpochFigures | null> {
  const loss = session.settings.computeValLoss === false ? undefined : new ValidationLoss(session.parts.criterion);
  const shipped = yield* scheduledEvaluation(session, "shipped", "valid", stopRequested, loss);
  if (shipped === null) return null;
  const describe = (evaluator: CocoEvaluator) => describeOf(session, "valid", evaluator, session.progress.epoch + 1);
  const figures = {
    summary: shipped.summarize(),
    summaryDetails: describe(shipped),
    nonFinite: shipped.nonFinite,
    loss: loss?.mean ?? null,
  };
  yield* apart(figures.summaryDetails);
  if (!session.settings.evalBaseModel || session.ema === null) return { ...figures, base: null, baseDetails: null };
  const own = yield* scheduledEvaluation(session, "own", "valid", stopRequested);
  return own === null ? null : { ...figures, base: own.summarize(), baseDetails: describe(own) };
}

function describeOf(
  { settings, evaluationAutocast: { precision } }: Session,
  split: "valid" | "test",
  evaluator: CocoEvaluator,
  epoch: number | null,
): EvaluationDetails {
  return evaluationDetails(evaluator, { split, data: settings.datasetDir, precision, epoch });
}

/** The figures of several datasets apart, as notes: of masks where the model has them. */
function* apart(details: EvaluationDetails): Generator<NoteEvent> {
  const shown = (figure: number | null): string => (figure === null ? "undefined" : figure.toFixed(4));
  const of = details.masks === undefined ? "" : "mask ";
  for (const { path, images, AP, AP50 } of mainDetails(details).datasets ?? []) {
    const figures = `${of}AP ${shown(AP)}, ${of}AP50 ${shown(AP50)}`;
    yield { type: "note", message: `${path}: ${figures} of ${counted(images, "image")}` };
  }
}

/** Scores the best weights on the test split. @returns null if the run was asked to stop meanwhile */
export async function* evaluateTest(
  session: Session,
  stopRequested: () => boolean,
): AsyncGenerator<EvaluationEvent, EvaluationDetails | null> {
  useBest(session);
  session.leader.sendState(session);
  const evaluator = yield* scheduledEvaluation(session, "own", "test", stopRequested);
  return evaluator === null ? null : describeOf(session, "test", evaluator, session.progress.best?.epoch ?? null);
}
