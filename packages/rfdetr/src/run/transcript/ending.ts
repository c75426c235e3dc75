// The end of a run in words: the result, and where its files are.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { formatBytes } from "@rfdetr/amp/text";
import { counted, type Field, fraction, grouped, hms, shownPath } from "../../support/format.js";
import type { DoneEvent, TestEvent } from "../files/events.js";
import type { RunSummary } from "../files/run-directory.js";

/** Why a run ended, in words. */
export const endings: Readonly<Record<RunSummary["stop_reason"], string>> = {
  finished: "finished",
  max_steps: "stopped by max_steps",
  time_budget: "stopped by its time budget",
  early_stopping: "stopped early, as its figure no longer improved",
  callback: "stopped by a callback",
  interrupted: "interrupted",
  failed: "failed",
};

/**
 * The last lines of a run: the result, how it ended, and the files that are there.
 * @param test figures on the test split, where it was evaluated
 */
export function endingFields(done: Omit<DoneEvent, "type">, test: TestEvent | null): Field[] {
  const { summary, dir, best, last } = done;
  const file = (name: string): Field[] =>
    existsSync(join(dir, name)) ? [[name.replace(/\..*/, ""), shownPath(join(dir, name))]] : [];
  return [
    ["result", resultInWords(summary)],
    ...(test === null
      ? []
      : [["test", `AP ${fraction(test.ap)}, AP50 ${fraction(test.ap50)} on the test split`] as const]),
    ["run", ...runInWords(summary)],
    ...weightsFields(best, last, summary),
    ...file("report.html"),
    ...file("pictures"),
  ];
}

function resultInWords({ AP, AP50, best_epoch: best, epochs }: RunSummary): string {
  if (epochs === 0) return "none yet: no epoch has ended";
  if (best === null || AP === null) return "no figures to choose the best weights by";
  if (AP === 0) return `AP 0 after ${counted(epochs, "epoch")}: no detection was right so far`;
  return `AP ${fraction(AP)}, AP50 ${fraction(AP50)} in epoch ${best} of ${grouped(epochs)}, the best`;
}

function runInWords(summary: RunSummary): string[] {
  const { processes } = summary;
  const [by, of] = processes > 1 ? [` by ${processes} processes`, " of rank 0"] : ["", ""];
  const { steps, skipped_steps: skipped, bad_images: bad, train_seconds: seconds, peak_rss_bytes: memory } = summary;
  const few = skipped === 0 ? "none skipped" : `${grouped(skipped)} skipped`;
  return [
    `${endings[summary.stop_reason]} after ${counted(steps, "step")} (${few})`,
    `${hms(seconds)} of training in ${summary.precision}${by}, peak memory${of} ${formatBytes(memory)}`,
    ...(bad === 0 ? [] : [`${counted(bad, "image")} could not be read and took no part`]),
  ];
}

function weightsFields(best: string | null, last: string | null, { best_epoch: epoch, AP }: RunSummary): Field[] {
  const of = epoch === null ? "" : ` (${AP === 0 ? "" : "best, "}of epoch ${epoch})`;
  if (best !== null) return [["weights", `${shownPath(best)}${of}`]];
  return last === null ? [] : [["weights", `${shownPath(last)} (of the end)`]];
}
