import { writeFailure } from "../../support/atomic.js";
import { keepEvents } from "../files/event-files.js";
import type { RunDirectory } from "../files/run-directory.js";
import { TensorBoardWriter } from "../files/tensorboard.js";
import type { Session } from "../session/session.js";
import { droppedLines, type RecordedEpoch, type RecordedStep, type Recorder } from "./recorder.js";

/** Steps between those whose loss, learning rate and gradient norm are written. */
const stepInterval = 10;

/** Marks the events of an epoch; those of its steps do not have it. */
const ofEpoch = "amp/skipped";

/**
 * `events.out.tfevents.*`. A resumed run drops the events beyond its checkpoint and begins another file, which tells a
 * TensorBoard that is open to forget them too.
 */
export class TensorBoardRecorder implements Recorder {
  readonly #writer: TensorBoardWriter;
  readonly #directory: RunDirectory;

  constructor({ directory, progress, resumed, warnings }: Session) {
    this.#directory = directory;
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

  step({ event: { step, loss, lr, gradNorm } }: RecordedStep): void {
    if (step % stepInterval === 0)
      this.#write(step, { "train/loss_step": loss, "train/lr": lr, "train/grad_norm": gradNorm });
  }

  epoch({ event, base }: RecordedEpoch): void {
    this.#write(event.step, {
      "train/loss": event.loss,
      ...Object.fromEntries(Object.entries(event.terms).map(([name, value]) => [`train/${name}`, value])),
      "val/AP": event.ap,
      "val/AP50": event.ap50,
      "val/AP75": event.ap75,
      "val/base_AP": base?.AP,
      "val/base_AP50": base?.AP50,
      [ofEpoch]: event.amp.skipped,
    });
  }

  #write(step: number, scalars: Parameters<TensorBoardWriter["scalars"]>[1]): void {
    try {
      this.#writer.scalars(step, scalars);
    } catch (error) {
      throw writeFailure(this.#directory.file("the TensorBoard file"), error);
    }
  }

  close(): void {
    this.#writer.close();
  }
}
