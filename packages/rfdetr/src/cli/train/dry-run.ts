// `rfdetr train --dry-run`: what a run would be, and what its first step took.

import { formatBytes } from "@rfdetr/amp/text";
import type { DryRun } from "../../run/dry-run.js";
import type { StartEvent } from "../../run/events/events.js";
import { headerFields, repeatedImages, startAdvice } from "../../run/transcript/header.js";
import { counted, type Field, grouped, hms } from "../../support/format.js";
import { snakeCase } from "../../support/names.js";
import { shapeInWords } from "../../support/shape.js";
import type { Console } from "../console/console.js";

/** Prints a dry run. */
export function showDryRun(dry: DryRun, console: Console): void {
  if (console.json) console.data(asJson(dry));
  else showFields(dry, console);
}

function showFields(dry: DryRun, console: Console): void {
  const start: StartEvent = { type: "start", ...dry.start, dir: dry.start.dir ?? "" };
  console.result(console.bold("dry run: nothing was trained, nothing is kept"));
  console.fields([
    ...headerFields(start).flatMap((field) => withDownload(field, dry)),
    ["step", stepInWords(dry)],
    ["memory", ...memoryInWords(dry)],
    ["time", timeInWords(dry)],
  ]);
  for (const note of [...dry.notes, repeatedImages(start)]) if (note !== null) console.fact(note);
  for (const warning of [...dry.warnings, startAdvice(start, "--weights")])
    if (warning !== null) console.warning(warning);
}

/** A field of the header, with what would be downloaded; none for the folder of the run, which there is not. */
function withDownload(field: Field, { start, download }: DryRun): Field[] {
  if (field[0] === "run") return [];
  if (field[0] !== "weights" || download === null) return [field];
  const what = start.weights === "coco" ? `${start.model} as published, trained on COCO` : String(start.weights);
  return [["weights", `${what}: would be downloaded from ${download.url} to ${download.path}`]];
}

function stepInWords({ step, download }: DryRun): string {
  const weights = download === null ? "" : " with random weights";
  const outcome = step.applied ? `loss ${step.loss.toFixed(3)}` : `skipped, since the ${step.fault} is not finite`;
  return `on the first batch at ${shapeInWords(step.size)} px${weights}: ${outcome}`;
}

function memoryInWords({ memory }: DryRun): string[] {
  const { weights, gradients, moments, average, peak, process, available } = memory;
  const held = Object.entries({ weights, gradients, moments, average }).map(
    ([name, bytes]) => `${name} ${formatBytes(bytes)}`,
  );
  return [
    `${formatBytes(peak)} of tensors at the peak of the step, with ${held.join(", ")}`,
    `${formatBytes(process)} of the process in these steps, to which a run adds loading ahead and evaluations; ${formatBytes(available)} were available`,
  ];
}

function timeInWords({ seconds, start }: DryRun): string {
  const steps = `${grouped(start.stepsPerEpoch)} steps of ${seconds.step.toFixed(2)} s`;
  const all = `${hms(seconds.step * start.totalSteps)} for ${counted(start.totalSteps, "step")}`;
  const { timeBudget } = start;
  const room = timeBudget === null ? Number.POSITIVE_INFINITY : Math.floor(timeBudget / seconds.step);
  const budget =
    timeBudget === null || room >= start.totalSteps
      ? ""
      : `; the time budget of ${hms(timeBudget)} ends the run after ${counted(room, "step")} at most`;
  return `about ${hms(seconds.epoch)} an epoch (${steps}), ${all}, with loading, without evaluation${budget}`;
}

/** By names as in the other JSON of the command. */
function asJson({ start, download, notes, warnings, step, memory, seconds }: DryRun): object {
  const named = Object.fromEntries(Object.entries(start).map(([key, value]) => [snakeCase(key), value]));
  const bytes = Object.fromEntries(Object.entries(memory).map(([key, value]) => [`${key}_bytes`, value]));
  return { ok: true, ...named, download, notes, warnings, step, memory: bytes, seconds };
}
