// Writes `metrics.csv` of a run.
import type { CocoSummary } from "../../eval/coco/coco-summary.js";
import { peakRss } from "../../support/machine/machine.js";
import type { Session } from "../session/session.js";
import { droppedLines, type RecordedEpoch, type Recorder } from "./recorder.js";

const file = "metrics.csv";
const lossTerms = ["loss_ce", "loss_bbox", "loss_giou", "loss_ce_aux", "loss_bbox_aux", "loss_giou_aux"];
/** Of models that predict masks. */
const maskTerms = ["loss_mask_ce", "loss_mask_dice", "loss_mask_ce_aux", "loss_mask_dice_aux"];
const orNull = (value: number | null | undefined): number | null => value ?? null;

/** `metrics.csv`: a row an epoch. */
export class MetricsRecorder implements Recorder {
  readonly #session: Session;

  constructor(session: Session) {
    this.#session = session;
    const damaged = session.resumed ? this.#keepUntilCheckpoint() : 0;
    if (damaged > 0) session.warnings.push(droppedLines(damaged, file));
  }

  /** Drops the rows of epochs that the run does again. */
  rollback(): void {
    this.#keepUntilCheckpoint();
  }

  /** @returns the number of lines that are neither the header nor a row */
  #keepUntilCheckpoint(): number {
    const { directory, progress } = this.#session;
    return directory.keepLines(file, (line, index) => {
      if (index === 0 && line?.startsWith("epoch,")) return "keep";
      if (line === null || !/^\d+,[-+.,\w]*$/.test(line)) return "damaged";
      return Number.parseInt(line, 10) <= progress.epoch ? "keep" : "drop";
    });
  }

  epoch(epoch: RecordedEpoch): void {
    this.#session.directory.appendRow(file, metricsRow(this.#session, epoch));
  }
}

function metricsRow(
  { progress, settings }: Session,
  { event, summary, base }: RecordedEpoch,
): Record<string, number | null> {
  const { norms } = progress.epochSums;
  const terms = [...lossTerms, ...maskTerms.filter((name) => name in event.terms)];
  return {
    epoch: event.epoch,
    step: event.step,
    lr: event.lr,
    "train/loss": event.loss,
    ...Object.fromEntries(terms.map((name) => [`train/${name}`, event.terms[name] ?? 0])),
    "train/grad_norm": norms.steps === 0 ? null : norms.sum / norms.steps,
    "val/loss": event.valLoss,
    ...Object.fromEntries(terms.map((name) => [`val/${name}`, orNull(event.valTerms[name])])),
    "val/AP": event.ap,
    "val/AP50": event.ap50,
    "val/AP75": event.ap75,
    "val/AP_small": orNull(summary?.AP_small),
    "val/AP_medium": orNull(summary?.AP_medium),
    "val/AP_large": orNull(summary?.AP_large),
    "val/AR1": orNull(summary?.AR1),
    "val/AR10": orNull(summary?.AR10),
    "val/AR": orNull(summary?.[`AR${settings.evalMaxDets}`]),
    "val/base_AP": orNull(base?.AP),
    "val/base_AP50": orNull(base?.AP50),
    ...(event.masks === undefined ? {} : maskColumns(settings.evalMaxDets, summary, base)),
    images_per_second: event.imagesPerSecond,
    train_seconds: progress.trainSeconds,
    evaluation_seconds: event.evaluationSeconds,
    skipped_steps: progress.skipped,
    loss_scale: event.amp.lossScale,
    peak_rss_bytes: peakRss(),
    ...event.metrics,
  };
}

function maskColumns(
  maxDets: number,
  summary: CocoSummary | null,
  base: CocoSummary | null,
): Record<string, number | null> {
  const masks = summary?.masks;
  return {
    "val/mask_AP": orNull(masks?.AP),
    "val/mask_AP50": orNull(masks?.AP50),
    "val/mask_AP75": orNull(masks?.AP75),
    "val/mask_AP_small": orNull(masks?.AP_small),
    "val/mask_AP_medium": orNull(masks?.AP_medium),
    "val/mask_AP_large": orNull(masks?.AP_large),
    "val/mask_AR": orNull(masks?.[`AR${maxDets}`]),
    "val/base_mask_AP": orNull(base?.masks?.AP),
    "val/base_mask_AP50": orNull(base?.masks?.AP50),
  };
}
