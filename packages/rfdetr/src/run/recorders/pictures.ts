// Draws the pictures of a run.

import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { noGrad, ops, scope } from "@rfdetr/torch";
import { splitBoxes } from "../../data/split-boxes.js";
import { readDetails } from "../../eval/details/details-file.js";
import { labelsFigure } from "../../eval/figures/data-figures.js";
import { resultsFigure } from "../../eval/figures/results-figure.js";
import { imagesToTensor, resizeImages } from "../../model/images/preprocess.js";
import { batchPicture, type SeenBatch } from "../../pictures/batch-picture.js";
import { fontWarning } from "../../pictures/drawing/lettering.js";
import { writeEvaluationPictures } from "../../pictures/evaluation-pictures.js";
import { PictureFolder } from "../../pictures/picture-folder.js";
import type { PictureEntry } from "../../pictures/picture-index.js";
import { reasonOf } from "../../support/files/system-error.js";
import { agreeing, counted } from "../../support/format.js";
import { type Shape, sidesOf } from "../../support/shape.js";
import type { MicroBatch } from "../../train/step/step-parts.js";
import { mustExist } from "../files/folder-checks.js";
import { readMetrics } from "../files/read-metrics.js";
import { logTime } from "../files/run-log.js";
import type { Session } from "../session/session.js";
import type { RecordedStep, Recorder } from "./recorder.js";

/** Training batches that are drawn. */
const batches = 3;
/** Pictures of an epoch wait for a later one, or for the end, while all pictures took more of the time. */
const mostOfTime = 0.03;

type Work = () => Promise<readonly PictureEntry[]>;

/**
 * `pictures/`: the labels of the data, three training batches, the evaluation of the best weights, and the course of
 * the run. Whatever fails here is told once, and the run goes on without pictures.
 */
export class PicturesRecorder implements Recorder {
  readonly #session: Session;
  readonly #folder: string;
  readonly #began = performance.now();
  /** What is to be drawn, in order. */
  #work: Work[] = [];
  /** Numbers of the training batches that are not drawn yet. */
  readonly #missing: number[];
  #milliseconds = 0;
  #failed = false;
  #ended = false;

  constructor(session: Session) {
    this.#session = session;
    this.#folder = session.directory.file("pictures");
    const numbers = Array.from({ length: batches }, (_, i) => i + 1);
    this.#missing = numbers.filter((n) => !existsSync(join(this.#folder, batchName(n))));
    if (!existsSync(join(this.#folder, "labels.jpg"))) this.#work.push(() => this.#labels());
  }

  step({ microBatches, event: { step, size } }: RecordedStep): void {
    const n = this.#missing.shift();
    if (n !== undefined) this.#work.push(() => this.#batch(n, step, microBatches[0], size));
  }

  epoch(): void {
    if (this.#milliseconds < mostOfTime * (performance.now() - this.#began)) this.#course();
  }

  end(): void {
    this.#course();
    this.#ended = true;
  }

  /** Draws what there is to draw. @returns the pictures that were written */
  async draw(): Promise<readonly PictureEntry[]> {
    if (this.#failed || this.#work.length === 0) return [];
    const work = this.#work;
    this.#work = [];
    const began = performance.now();
    const written: PictureEntry[] = [];
    try {
      // A folder that was moved away is not made anew for its pictures.
      mustExist([this.#session.directory.path]);
      for (const make of work) written.push(...(await make()));
    } catch (error) {
      this.#failed = true;
      this.#session.warnings.push(`${reasonOf(error)}. The run goes on without pictures`);
    }
    this.#milliseconds += performance.now() - began;
    if (this.#ended && !this.#failed) this.#logTime();
    return written;
  }

  /** Says in the log what the pictures cost. */
  #logTime(): void {
    const { directory } = this.#session;
    const seconds = (this.#milliseconds / 1000).toFixed(1);
    directory.append("log.txt", `${logTime()} pictures   took ${seconds} s of the run\n`);
  }

  /** Has the course of the run drawn, and the best evaluation if that is not done. */
  #course(): void {
    this.#work.push(
      () => this.#results(),
      () => this.#evaluation(),
    );
  }

  /** Draws the best evaluation, unless it is drawn: a run that was killed may not have come to it. */
  async #evaluation(): Promise<readonly PictureEntry[]> {
    const { directory, settings } = this.#session;
    const path = directory.file("evaluation-best.json");
    const written = (file: string): number => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (written(path) <= written(join(this.#folder, "precision-recall.svg"))) return [];
    return writeEvaluationPictures(this.#folder, readDetails(path), { autoOrient: settings.autoOrient });
  }

  async #labels(): Promise<readonly PictureEntry[]> {
    const { data, warnings } = this.#session;
    const splits = (["train", "valid"] as const).map((split) =>
      splitBoxes(split, data.images(split), data.classNames.length),
    );
    const pictures = new PictureFolder(this.#folder);
    await pictures.figure("labels.jpg", "labels", labelsFigure(splits, data.classNames));
    const warning = await fontWarning(data.classNames);
    if (warning !== null) warnings.push(warning);
    return pictures.finish();
  }

  async #batch(n: number, step: number, batch: MicroBatch, size: Shape): Promise<readonly PictureEntry[]> {
    const { data } = this.#session;
    const seen = resized(batch, size);
    const pictures = new PictureFolder(this.#folder);
    const boxes = batch.targets.reduce((sum, { labels }) => sum + labels.length, 0);
    await pictures.photo(
      batchName(n),
      {
        kind: "train-batch",
        title: `Training batch, step ${step}`,
        alt: `${counted(batch.targets.length, "training image")} of ${size} pixels after augmentation, with ${counted(boxes, "box", "boxes")}, as the model saw ${agreeing(batch.targets.length, "it", "them")} in step ${step}.`,
      },
      await batchPicture(seen, data.classNames),
    );
    return pictures.finish();
  }

  async #results(): Promise<readonly PictureEntry[]> {
    const rows = readMetrics(this.#session.directory.file("metrics.csv"));
    const pictures = new PictureFolder(this.#folder);
    await pictures.figure("results.svg", "results", resultsFigure(rows));
    return pictures.finish();
  }
}

const batchName = (n: number): string => `train-batch-${n}.jpg`;

/** The images of a micro-batch at the size of the step, resized as {@link resizeImages} does it for the model. */
function resized(batch: MicroBatch, size: Shape): SeenBatch {
  const { images, targets, height, width } = batch;
  const [toHeight, toWidth] = sidesOf(size);
  if (height === toHeight && width === toWidth) return batch;
  const pixels = noGrad(() =>
    scope(() => {
      const small = resizeImages(imagesToTensor(images, targets.length, height, width), toHeight, toWidth);
      return Uint8Array.from(ops.round(ops.mul(small, 255)).permute(0, 2, 3, 1).contiguous().toArray() as Float32Array);
    }),
  );
  return { ...batch, images: pixels, height: toHeight, width: toWidth };
}
