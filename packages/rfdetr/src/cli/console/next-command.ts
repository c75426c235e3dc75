// Commands that go on where a run has ended: each can be pasted.
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Split } from "../../data/formats/dataset.js";
import { readDetails } from "../../eval/details/details-file.js";
import { mainDetails, type OperatingFigures } from "../../eval/details/evaluation-details.js";
import type { TrainResult } from "../../run/train-run.js";
import { RfdetrError } from "../../support/errors.js";
import { shellWord, shownPath, thresholdText, unbroken } from "../../support/format.js";
import type { Console } from "./console.js";
import { startedAs } from "./started-as.js";

/** The command that trains a variant on data. @internal for tests */
export const trainCommand = (data: string, model: string): string =>
  `${startedAs()} train --data ${shellWord(shownPath(data))} --model ${model}`;

/** The command that continues a run. */
export const resumeCommand = (dir: string): string => `${startedAs()} train --resume ${shellWord(shownPath(dir))}`;

/** The command that shows a run in the browser while it trains, and afterwards. */
export const watchCommand = (dir: string): string => `${startedAs()} dash ${shellWord(shownPath(dir))}`;

/** The command that shows the page of a detector. */
export const serveCommand = (dir: string): string => `${startedAs()} demo-page ${shellWord(shownPath(dir))} --serve`;

/** The command that ends a pause of a run. */
export const goOnCommand = (dir: string): string => `${startedAs()} control ${shellWord(shownPath(dir))} go-on`;

/** Tells how to train on data that are ready for it. */
export const showTraining = (console: Console, data: string, model: string): void =>
  console.fields([["next", console.bold(unbroken(trainCommand(data, model)))]]);

/** What stands between data and a training. */
export interface DataFaults {
  /** Names of the checks for which training refuses the data. */
  refused: readonly string[];
  /** Whether a train split is there, or pictures without splits. */
  train: boolean;
  /** Whether a repaired copy can be written. */
  repairable: boolean;
  /** Whether outlines were looked at. */
  masks: boolean;
}

/** The command that makes data fit for training, and what it does; null where none can. */
export function mendCommand(data: string, faults: DataFaults): [command: string, effect: string] | null {
  const { refused, train, repairable, masks } = faults;
  const command = (words: string): string => `${startedAs()} data ${words}`;
  const lacksSplit = refused.includes("missing split");
  if (refused.includes("no outlines"))
    return [
      command(`stats ${shellWord(data)} --masks`),
      "counts the objects without outlines: annotate these, or train a detector; a repaired copy cannot be written",
    ];
  if (refused.every((check) => check === "missing split"))
    return train ? [command(`split ${shellWord(data)} OUT`), "writes a copy with the splits that are missing"] : null;
  if (!repairable) return null;
  return [
    command(`check ${shellWord(data)}${masks ? " --masks" : ""} --fix OUT`),
    `writes a copy without what can be left out${lacksSplit ? "; data split then makes the missing split of it" : ""}`,
  ];
}

/**
 * The command that detects with weights.
 * @param data folder of the dataset, whose images are shown; null where it is not known
 * @param split whose images
 * @param best the figures at the threshold to use, or the word for the recorded one; null where that is not known
 */
export function predictCommand(
  weights: string,
  data: string | null,
  best: OperatingFigures | "best" | null,
  split: Split = "valid",
): string {
  const images = imagesOf(data, split);
  const threshold = best === "best" ? best : best === null || best.f1 === 0 ? "0.00" : thresholdText(best.threshold);
  return [
    `${startedAs()} predict ${images === null ? "IMAGE" : shellWord(images)} --weights ${shellWord(shownPath(weights))}`,
    ...(threshold === "0.00" ? [] : [`--threshold ${threshold}`]),
  ].join(" ");
}

/** The lines that name a command, which no terminal breaks, and what stands for what in it. */
export const commandLines = (command: string): string[] =>
  command.includes(" predict IMAGE ")
    ? [unbroken(command), "IMAGE is a picture, a folder of pictures or a video"]
    : [unbroken(command)];

/** What to do after a run. @param data folder of its dataset; null where it is not known */
export function nextCommand({ summary, dir }: Pick<TrainResult, "summary" | "dir">, data: string | null): string {
  if (summary.stop_reason === "interrupted") return resumeCommand(dir);
  return predictCommand(dir, data, bestFigures(dir, summary.best_epoch));
}

/** The figures at the best threshold of an epoch, where one of the evaluations that the run kept is of it. */
function bestFigures(dir: string, epoch: number | null): OperatingFigures | null {
  const files = ["evaluation-best.json", "evaluation.json"].map((name) => join(dir, name));
  for (const file of files.filter((each) => epoch !== null && existsSync(each)))
    try {
      const details = readDetails(file);
      if (details.origin.epoch === epoch) return mainDetails(details).best_threshold;
    } catch (error) {
      if (!RfdetrError.is(error)) throw error;
    }
  return null;
}

/** The folder of a split's images of a dataset in a common layout; null for another. */
function imagesOf(data: string | null, split: Split): string | null {
  if (data === null) return null;
  const names = split === "valid" ? ["valid", "val"] : [split];
  const folders = [(name: string) => `${name}/images`, (name: string) => `images/${name}`, (name: string) => name]
    .flatMap((layout) => names.map(layout))
    .concat(names.map((name) => `${name}2017`));
  const found = folders.map((name) => join(data, name)).find((path) => existsSync(path));
  return found === undefined ? null : shownPath(found);
}
