// `rfdetr train --dry-run`: what a run would be, and what its first step took.

import { formatBytes } from "@rfdetr/amp/text";
import type { DryRun } from "../../run/dry-run.js";
import type { StartEvent } from "../../run/events/events.js";
import { headerFields, repeatedImages, startAdvice } from "../../run/transcript/header.js";
import { counted, type Field, grouped, hms, roughTime } from "../../support/format.js";
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
    ["load", dry.load.text],
    ["time", ...timeInWords(dry)],
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

function timeInWords({ seconds, timed, start }: Pick<DryRun, "seconds" | "timed" | "start">): string[] {
  const { stepsPerEpoch, totalSteps, timeBudget } = start;
  const of = (steps: number): string => roughTime(seconds.least * steps, seconds.most * steps);
  const epoch = `${of(stepsPerEpoch)} an epoch (${counted(stepsPerEpoch, "step")} of ${of(1)})`;
  const room = timeBudget === null ? Number.POSITIVE_INFINITY : Math.floor(timeBudget / seconds.step);
  const ends = `; the time budget of ${hms(timeBudget ?? 0)} ends the run after about ${grouped(Number(room.toPrecision(2)))} steps`;
  const sizes = timed.sizes.map(shapeInWords);
  const side = sizes.length === 1 ? sizes[0] : `${sizes[0]} to ${sizes[sizes.length - 1]}`;
  return [
    `about ${epoch}, ${of(totalSteps)} for ${counted(totalSteps, "step")}, without evaluation${room < totalSteps ? ends : ""}`,
    `by ${counted(timed.steps, "step")} at ${side} px, ${timed.loading ? "with the loading" : "without the loading"} beside ${timed.steps === 1 ? "it" : "them"}`,
  ];
}

/** By names as in the other JSON of the command. */
function asJson({ start, download, notes, warnings, step, memory, seconds, timed, load }: DryRun): object {
  const named = Object.fromEntries(Object.entries(start).map(([key, value]) => [snakeCase(key), value]));
  const bytes = Object.fromEntries(Object.entries(memory).map(([key, value]) => [`${key}_bytes`, value]));
  return { ok: true, ...named, download, notes, warnings, step, memory: bytes, seconds, timed, load };
}
