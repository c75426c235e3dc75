// Writes the files of weights of a run.
import { scope } from "@rfdetr/torch";
import { type EvaluationDetails, mainDetails } from "../../eval/details/evaluation-details.js";
import { packageVersion } from "../../support/machine/version.js";
import { mergedWeights } from "../../train/parameters/lora.js";
import { saveWeights } from "../../weights/weights.js";
import type { Session } from "../session/session.js";
import type { RecordedEpoch, Recorder } from "./recorder.js";

/** `weights/`: those of the last epoch, the best so far, and a copy every `checkpoint_interval` epochs. */
export class WeightsRecorder implements Recorder {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
  }

  epoch({ event: { epoch, best }, chosen, details, summaryDetails, baseWins, usable }: RecordedEpoch): void {
    if (!usable) return;
    const { directory, settings } = this.#session;
    const info = {
      epoch: String(epoch),
      ...(chosen === null || chosen.AP === null ? {} : { AP: String(chosen.AP), AP50: String(chosen.AP50) }),
      ...(chosen?.masks?.AP == null ? {} : { mask_AP: String(chosen.masks.AP), mask_AP50: String(chosen.masks.AP50) }),
    };
    const shipped = { ...info, ...thresholdEntries(summaryDetails) };
    this.#save(directory.last, shipped);
    if (best) this.#save(directory.best, { ...info, ...thresholdEntries(details) }, baseWins);
    if (epoch % settings.checkpointInterval === 0) this.#save(directory.weightsOfEpoch(epoch), shipped);
  }

  /** The last weights are those of the moment, so that a run which is stopped at any time leaves some for use. */
  stopped(): void {
    const { directory, progress } = this.#session;
    this.#save(directory.last, { epoch: String(progress.epoch + 1), step: String(progress.step) });
  }

  /** Writes weights for use: the averaged ones where there is an average, unless `base` asks for those in training. */
  #save(path: string, info: Record<string, string>, base = false): void {
    const { parts, ema, data, modelConfig, settings, trained } = this.#session;
    const averaged = ema !== null && !base;
    const notes: Record<string, string> = settings.notes === null ? {} : { notes: JSON.stringify(settings.notes) };
    const tensors = averaged ? ema.state().tensors : parts.model.stateDict();
    scope(() =>
      saveWeights(path, mergedWeights(tensors), {
        classNames: [...data.classNames],
        config: modelConfig,
        trained,
        extra: { ...info, ...notes, averaged: String(averaged), rfdetr_version: packageVersion() },
      }),
    );
  }
}

/**
 * The best thresholds of an evaluation, for the metadata of its weights: by the masks where there are some. None where
 * nothing was found at any threshold, or best at 0: a threshold that keeps all detections says nothing.
 * @internal for tests
 */
export function thresholdEntries(details: EvaluationDetails | null): { thresholds?: string } {
  if (details === null) return {};
  const { best_threshold, per_class } = mainDetails(details);
  if (best_threshold.f1 === 0 || best_threshold.threshold === 0) return {};
  const classes = per_class.flatMap(({ class_name: name, best }): [string, number][] =>
    best === null || name === "*" ? [] : [[name, best.threshold]],
  );
  return { thresholds: JSON.stringify(Object.fromEntries([["*", best_threshold.threshold], ...classes])) };
}
