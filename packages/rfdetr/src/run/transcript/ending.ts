// The end of a run in words: the result, and where its files are.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "@rfdetr/amp/text";
import { counted, type Field, fraction, grouped, hms, wholePath } from "../../support/format.js";
import type { DoneEvent, TestEvent } from "../events/events.js";
import type { RunSummary } from "../files/run-directory.js";

/** The reasons of ends, in words. */
const endings: Readonly<Record<RunSummary["stop_reason"], string>> = {
  finished: "finished",
  max_steps: "finished all planned steps",
  time_budget: "ended by its time budget",
  early_stopping: "stopped early, as its figure no longer improved",
  callback: "stopped by a callback",
  interrupted: "interrupted",
  failed: "failed",
};

/** Why a run ended, in words, with what a callback said of it. */
export const endInWords = ({
  stop_reason: reason,
  stop_message: message,
}: Pick<RunSummary, "stop_reason" | "stop_message">): string =>
  message === undefined ? endings[reason] : `${endings[reason]} (${message})`;

/**
 * The last lines of a run: the result, how it ended, and the files that are there.
 * @param test figures on the test split, where it was evaluated
 */
export function endingFields(done: Omit<DoneEvent, "type">, test: TestEvent | null): Field[] {
  const { summary, dir, best, last } = done;
  const file = (name: string): Field[] =>
    existsSync(join(dir, name)) ? [[name.replace(/\..*/, ""), wholePath(join(dir, name))]] : [];
  return [
    ["result", resultInWords(summary)],
    ...(test === null ? [] : [["test", `${testInWords(test)} on the test split`] as const]),
    ["run", ...runInWords(summary)],
    ...weightsFields(best, last, summary),
    ...file("report.html"),
    ...file("pictures"),
  ];
}

function testInWords({ ap, ap50, masks }: TestEvent): string {
  return figuresInWords([ap, ap50], masks === undefined ? null : [masks.ap, masks.ap50]);
}

function resultInWords({ AP, AP50, best_epoch: best, epochs, stop_reason: reason, ...summary }: RunSummary): string {
  const { mask_AP: maskAP, mask_AP50: maskAP50 = null } = summary;
  const main = maskAP === undefined ? AP : maskAP;
  if (epochs === 0) return "none yet: no epoch has ended";
  if (best === null || main === null) return "no figures to choose the best weights by";
  if (main === 0 && AP === main) return `AP 0 after ${counted(epochs, "epoch")}: no detection was right so far`;
  const figures = figuresInWords([AP, AP50], maskAP === undefined ? null : [maskAP, maskAP50]);
  // Of a run that goes on later, more epochs are planned than have ended.
  const isOpen = reason === "interrupted" || reason === "failed";
  if (isOpen)
    return `${figures} in epoch ${best}, the ${epochs === 1 ? "only one" : `best of ${grouped(epochs)}`} so far`;
  return `${figures} in epoch ${best} of ${grouped(epochs)}, the best`;
}

type Pair = readonly [AP: number | null, AP50: number | null];

/** AP and AP50, those of masks first. */
function figuresInWords(boxes: Pair, masks: Pair | null): string {
  const words = ([AP, AP50]: Pair, of = ""): string => `${of}AP ${fraction(AP)}, ${of}AP50 ${fraction(AP50)}`;
  return masks === null ? words(boxes) : `${words(masks, "mask ")}, ${words(boxes, "box ")}`;
}

function howItEnded(summary: RunSummary): string {
  const { stop_reason: reason, steps } = summary;
  if (reason === "max_steps") return `finished the ${counted(steps, "planned step")}`;
  return `${endInWords(summary)} after ${counted(steps, "step")}`;
}

function runInWords(summary: RunSummary): string[] {
  const { processes } = summary;
  const [by, of] = processes > 1 ? [` by ${processes} processes`, " of rank 0"] : ["", ""];
  const { skipped_steps: skipped, bad_images: bad, train_seconds: seconds, peak_rss_bytes: memory } = summary;
  const few = skipped === 0 ? "none skipped" : `${grouped(skipped)} skipped`;
  return [
    `${howItEnded(summary)} (${few})`,
    `${hms(seconds)} of training in ${summary.precision}${by}, peak memory${of} ${formatBytes(memory)}`,
    ...(bad === 0 ? [] : [`${counted(bad, "image")} could not be read and took no part`]),
  ];
}

function weightsFields(best: string | null, last: string | null, { best_epoch: epoch, AP }: RunSummary): Field[] {
  const of = epoch === null ? "" : ` (${AP === 0 ? "" : "best, "}of epoch ${epoch})`;
  if (best !== null) return [["weights", `${wholePath(best)}${of}`]];
  return last === null ? [] : [["weights", `${wholePath(last)} (of the end)`]];
}
