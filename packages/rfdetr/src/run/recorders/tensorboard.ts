// Writes the events of a run for TensorBoard.
import { join } from "node:path";
import type { PictureEntry, PictureKind } from "../../pictures/picture-index.js";
import { pictureFile } from "../../pictures/rasterize.js";
import { writeFailure } from "../../support/files/atomic.js";
import type { RunDirectory } from "../files/run-directory.js";
import { keepEvents } from "../files/tensorboard/event-files.js";
import { TensorBoardWriter } from "../files/tensorboard/tensorboard.js";
import type { Session } from "../session/session.js";
import { droppedLines, type RecordedEpoch, type RecordedStep, type Recorder } from "./recorder.js";

/** Steps between those whose loss, learning rate and gradient norm are written. */
const stepInterval = 10;

/** Kinds of pictures that are written; the course of the run is there as curves. */
const always: ReadonlySet<PictureKind> = new Set(["labels", "train-batch"]);
const sparse: ReadonlySet<PictureKind> = new Set(["validation", "precision-recall", "f1", "confusion-normalised"]);

/** Marks the events of an epoch; those of its steps do not have it. */
const ofEpoch = "amp/skipped";

/**
 * `events.out.tfevents.*`. A resumed run drops the events beyond its checkpoint and begins another file, which tells a
 * TensorBoard that is open to forget them too.
 */
export class TensorBoardRecorder implements Recorder {
  readonly #writer: TensorBoardWriter;
  readonly #directory: RunDirectory;
  readonly #progress: Session["progress"];
  /** The epoch from which on the pictures of an evaluation are written again. */
  #nextPictures = 0;
  #ended = false;

  constructor({ directory, progress, resumed, warnings }: Session) {
    this.#directory = directory;
    this.#progress = progress;
    const { path } = directory;
    const { step, stepInEpoch } = progress;
    try {
      // The last step of an epoch may have been saved without the epoch's end.
      const done = stepInEpoch === 0;
      const damaged = resumed
        ? keepEvents(path, (at, event) => at < step || (at === step && (done || !event.includes(ofEpoch))))
        : 0;
      if (damaged > 0) warnings.push(droppedLines(damaged, "the TensorBoard files"));
      this.#writer = new TensorBoardWriter(path, resumed ? step + 1 : 0);
    } catch (error) {
      throw writeFailure(directory.file("the TensorBoard file"), error);
    }
  }

  step({ event: { step, loss, lr, gradNorm, metrics = {} } }: RecordedStep): void {
    if (step % stepInterval !== 0) return;
    const own = Object.entries(metrics).map(([name, value]) => [`${name}_step`, value]);
    const figures = { "train/loss_step": loss, "train/lr": lr, "train/grad_norm": gradNorm };
    this.#write(step, { ...figures, ...Object.fromEntries(own) });
  }

  epoch({ event, base }: RecordedEpoch): void {
    this.#write(event.step, {
      "train/loss": event.loss,
      ...Object.fromEntries(Object.entries(event.terms).map(([name, value]) => [`train/${name}`, value])),
      "val/loss": event.valLoss,
      ...Object.fromEntries(Object.entries(event.valTerms).map(([name, value]) => [`val/${name}`, value])),
      "val/AP": event.ap,
      "val/AP50": event.ap50,
      "val/AP75": event.ap75,
      "val/mask_AP": event.masks?.ap,
      "val/mask_AP50": event.masks?.ap50,
      "val/mask_AP75": event.masks?.ap75,
      "val/base_AP": base?.AP,
      "val/base_AP50": base?.AP50,
      "val/base_mask_AP": base?.masks?.AP,
      "val/base_mask_AP50": base?.masks?.AP50,
      ...event.metrics,
      [ofEpoch]: event.amp.skipped,
    });
  }

  /** Pictures of evaluations are written at ever larger distances: after the first epoch, the second, the fourth, …. */
  async pictures(entries: readonly PictureEntry[]): Promise<void> {
    const { epoch, step } = this.#progress;
    const due = this.#ended || epoch >= this.#nextPictures;
    const wanted = entries.filter(({ kind }) => always.has(kind) || (due && sparse.has(kind)));
    if (wanted.some(({ kind }) => sparse.has(kind))) this.#nextPictures = Math.max(1, epoch) * 2;
    for (const entry of wanted) {
      const path = join(this.#directory.file("pictures"), entry.file);
      // A picture that cannot be read is not shown, which is no reason to end a run.
      const picture = await pictureFile(path).catch(() => null);
      if (picture === null) continue;
      const { data, info } = picture;
      const tag = `pictures/${entry.file.replace(/\.\w+$/, "")}`;
      this.#attempt(() => this.#writer.image(step, { tag, content: data, width: info.width, height: info.height }));
    }
  }

  end(): void {
    this.#ended = true;
  }

  #write(step: number, scalars: Parameters<TensorBoardWriter["scalars"]>[1]): void {
    this.#attempt(() => this.#writer.scalars(step, scalars));
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      throw writeFailure(this.#directory.file("the TensorBoard file"), error);
    }
  }

  close(): void {
    this.#writer.close();
  }
}
