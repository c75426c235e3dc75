import { TensorBoardWriter } from "../files/tensorboard.js";
import type { Session } from "../session/session.js";
import type { RecordedEpoch, RecordedStep, Recorder } from "./recorder.js";

/** Steps between those whose loss, learning rate and gradient norm are written. */
const stepInterval = 10;

/**
 * `events.out.tfevents.*`. Steps that a resumed run takes again are written again; TensorBoard shows the later ones.
 */
export class TensorBoardRecorder implements Recorder {
  readonly #writer: TensorBoardWriter;

  constructor({ directory }: Session) {
    this.#writer = new TensorBoardWriter(directory.path);
  }

  step({ event: { step, loss, lr, gradNorm } }: RecordedStep): void {
    if (step % stepInterval === 0)
      this.#writer.scalars(step, { "train/loss_step": loss, "train/lr": lr, "train/grad_norm": gradNorm });
  }

  epoch({ event, base }: RecordedEpoch): void {
    this.#writer.scalars(event.step, {
      "train/loss": event.loss,
      ...Object.fromEntries(Object.entries(event.terms).map(([name, value]) => [`train/${name}`, value])),
      "val/AP": event.ap,
      "val/AP50": event.ap50,
      "val/AP75": event.ap75,
      "val/base_AP": base?.AP,
      "val/base_AP50": base?.AP50,
      "amp/skipped": event.amp.skipped,
    });
  }

  close(): void {
    this.#writer.close();
  }
}
