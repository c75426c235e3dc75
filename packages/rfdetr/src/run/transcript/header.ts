// The header of a run in words: what is trained on what, from which weights, where, and in which precision.

import { basename, dirname } from "node:path";
import { lowPrecisionOf, type Precision } from "@rfdetr/amp/names";
import { counted, type Field, grouped, hms, unbroken, wholePath } from "../../support/format.js";
import { pixelsOf, shapeInWords } from "../../support/shape.js";
import { publishedWeights } from "../../weights/published/published-weights.js";
import type { StartEvent } from "../events/events.js";

/** Class names are listed while they fit in so many characters. */
const listed = 60;

/** The first line of a header. */
export function headerTitle({ versions, resumedAt }: StartEvent): string {
  const { rfdetr, libtorch, node } = versions;
  const what = resumedAt === null ? "new run" : `run continued after step ${grouped(resumedAt)}`;
  return `rfdetr ${rfdetr}, ${what} (libtorch ${libtorch}, Node ${node.replace(/^v/, "")})`;
}

/** The fields of a header, in their order. */
export function headerFields(event: StartEvent): Field[] {
  const { model, resolution, parameters, precision, reason, precisionNote } = event;
  return [
    ["model", `${model} at ${shapeInWords(resolution)} px, ${grouped(parameters)} parameters`],
    ["data", dataInWords(event), classesInWords(event.classes)],
    ["weights", weightsInWords(event)],
    ["schedule", scheduleInWords(event), ratesInWords(event), ...sizesInWords(event), ...evaluationsInWords(event)],
    ["device", deviceInWords(event)],
    [
      "precision",
      `${precision}: ${reason}`,
      ...(precisionNote === null ? [] : [precisionNote]),
      ...overridesInWords(event),
    ],
    ["run", wholePath(event.dir)],
  ];
}

/** The rules that modules have of their own; none where the precision casts nothing, and so reads no rule. */
function overridesInWords({ precision, overrides }: StartEvent): string[] {
  const rules = Object.entries(overrides).map(([pattern, rule]) => `${pattern} in ${rule}`);
  const casts = lowPrecisionOf[precision as Precision] !== null;
  return rules.length === 0 || !casts ? [] : [`modules of their own precision: ${rules.join(", ")}`];
}

function deviceInWords({ device, deviceName, threads, processes, hardware }: StartEvent): string {
  const each = processes === 1 ? "" : ` in each of ${grouped(processes)} processes`;
  return `${device}${deviceName === null ? "" : ` (${deviceName})`}, ${counted(threads, "thread")}${each}; ${hardware}`;
}

function dataInWords({ data, trainImages, validImages }: StartEvent): string {
  return `${wholePath(data)}: ${grouped(trainImages)} training and ${grouped(validImages)} validation images`;
}

/** The number of the classes, and the names of as many as fit. */
function classesInWords(names: readonly string[]): string {
  let shown = names.length;
  while (shown > 1 && names.slice(0, shown).join(", ").length > listed) shown--;
  const rest = names.length - shown;
  const some = names.slice(0, shown).join(", ");
  return `${counted(names.length, "class", "classes")}: ${some}${rest > 0 ? ` and ${grouped(rest)} more` : ""}`;
}

/** Where the weights come from, and what random ones mean. */
function weightsInWords({ weights, resumedAt }: StartEvent): string {
  if (resumedAt !== null) return "those of the run, with its optimizer and average";
  if (weights === null) return "random weights: the model has learnt nothing yet and learns from these images alone";
  const [variant] = Object.entries(publishedWeights).find(([, { file }]) => file === basename(weights)) ?? [];
  if (variant !== undefined)
    return `${variant} as published, trained on ${publishedData(variant)} (${unbroken(weights)})`;
  const kind = { "best.safetensors": "the best", "last.safetensors": "the last" }[basename(weights)];
  const ofRun = kind !== undefined && basename(dirname(weights)) === "weights" ? ` (${kind} of that run)` : "";
  return `${wholePath(weights)}${ofRun}`;
}

const publishedData = (variant: string): string => (variant.endsWith("o365") ? "Objects365" : "COCO");

/** The epochs that a run has steps for. A limit on the steps may end it before the others. */
const epochsWithSteps = ({
  epochs,
  stepsPerEpoch,
  totalSteps,
}: Pick<StartEvent, "epochs" | "stepsPerEpoch" | "totalSteps">): number =>
  Math.min(epochs, Math.ceil(totalSteps / stepsPerEpoch));

function scheduleInWords(event: StartEvent): string {
  const { epochs, stepsPerEpoch, totalSteps, timeBudget, batch, accumulate, seed } = event;
  const limit = totalSteps < epochs * stepsPerEpoch ? `, ends after ${counted(totalSteps, "step")}` : "";
  const time = timeBudget === null ? "" : `, ends within ${hms(timeBudget)}`;
  const parts = accumulate > 1 ? ` (${accumulate} micro-batches of ${batch / accumulate})` : "";
  const step = `${counted(batch, "image")} a step${parts}${limit}${time}`;
  const most = timeBudget === null || limit !== "" ? "" : "at most ";
  return `${most}${counted(epochsWithSteps(event), "epoch")} of ${counted(stepsPerEpoch, "step")}, ${step}; seed ${seed}`;
}

/** Both learning rates: changing the one leaves the other, as in the Python package. */
const ratesInWords = ({ lr, lrEncoder }: StartEvent): string =>
  `learning rate ${lr} (lr), of the encoder ${lrEncoder} (lr_encoder)`;

/** Why epochs have no AP. */
function evaluationsInWords(event: StartEvent): string[] {
  const { evalInterval: interval } = event;
  if (interval === 1 || epochsWithSteps(event) === 1) return [];
  return [`one epoch in ${interval} is evaluated, and the last (eval_interval): the others have no AP`];
}

/** What the size beside each step means. */
function sizesInWords({ scales }: StartEvent): string[] {
  if (scales === null) return [];
  const sorted = [...scales].sort((a, b) => pixelsOf(a) - pixelsOf(b)).map(shapeInWords);
  const [smallest, largest] = [sorted[0], sorted[sorted.length - 1]];
  const what = typeof scales[0] === "number" ? "a side of " : "";
  return [`each step resizes its images to ${what}${smallest} to ${largest} px (multi_scale)`];
}

/** That a small set is repeated within an epoch; null for any other. */
export function repeatedImages({ stepsPerEpoch, batch, trainImages }: StartEvent): string | null {
  if (stepsPerEpoch <= Math.ceil(trainImages / batch)) return null;
  const images = `${counted(trainImages, "image")} for ${grouped(stepsPerEpoch * batch)} places`;
  return `An epoch has at least ${counted(stepsPerEpoch, "step")}, so small sets are repeated: ${images}`;
}

/** Training images from which random weights may lead somewhere. */
const manyImages = 10_000;

/**
 * What to begin with instead of random weights; null where they are meant, or where nothing can be done any more.
 * @param option how weights are named where the text is read
 */
export function startAdvice(event: StartEvent, option = "weights"): string | null {
  const { weights, resumedAt } = event;
  return weights !== null || resumedAt !== null ? null : randomWeightsAdvice(event, option);
}

/** What to begin with instead of random weights; null for a model or data that random ones suit. */
export function randomWeightsAdvice(
  { model, trainImages }: Pick<StartEvent, "model" | "trainImages">,
  option = "weights",
): string | null {
  if (trainImages >= manyImages || /^(seg-)?(demo|tiny)$/.test(model)) return null;
  const published = Object.hasOwn(publishedWeights, model) ? `${option} coco` : `trained weights (${option})`;
  return `Random weights take many thousand images and hours: fine-tuning usually starts from ${published}`;
}
