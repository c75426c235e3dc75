// What a step that was not finite tells: where, with which images, and what to do.
import type { Precision } from "@rfdetr/amp/names";
import { type Fault, faultEvidence, faultHeadline, type TensorFacts } from "@rfdetr/amp/records";

/** The report of a step that was not finite. */
export interface OverflowReport extends Fault {
  step: number;
  precision: Precision;
  /** The loss scale; 1 where nothing is scaled. */
  scale: number;
  /** The image files of the batch. */
  files: string[];
  /** What to do, the most likely remedy first. */
  advice: string[];
}

const fp16Max = 65504;

/** What to do about a fault, the most likely remedy first. */
export function advise(report: Omit<OverflowReport, "advice">): string[] {
  const place = report.module ?? "";
  const isHalf = report.output?.dtype === "float16" || report.inputs.some((input) => input.dtype === "float16");
  const culprit = report.readers.find((reader) => !reader.startsWith("(")) ?? place;
  // What has no path, such as the loss, runs in float32 already.
  const inModule = culprit !== "" && !culprit.startsWith("(");
  const overridden = `precision_overrides: { "${culprit.replace(/\.\d+(?=\.|$)/g, ".*")}": "fp32" }`;
  switch (report.phase) {
    case "input":
      return [
        `The tensor ${place} already held ${counts(report.inputs[0])} before the model saw it: check the images of this batch (rfdetr data check) and the normalisation.`,
      ];
    case "weight":
      return [
        `${place} holds ${counts(report.weights[0])}: an earlier update destroyed it. Go back to the last good checkpoint, with a lower learning rate.`,
        "Keep the finite-gradient check on: it refuses such an update.",
      ];
    case "target":
      return [
        "The loss was given values that are not finite: check the boxes of this batch's annotations (rfdetr data check).",
      ];
    case "loss":
      return [
        "The model's outputs were finite but the loss was not: the outputs are extreme. Lower the learning rate, or lengthen the warm-up.",
        "If it happens on the same images every time, check their annotations (rfdetr data check).",
      ];
    case "backward":
      if (report.precision === "16-mixed" && report.scale > 1)
        return [
          `The loss scale of ${report.scale} carried a gradient past float16's ${fp16Max}: the scaler has halved the scale and the step was skipped. This is normal in the first steps, and now and then later: the scaler finds its scale in this way.`,
          inModule
            ? `If it happens at the same module again and again: ${overridden}, or bf16-mixed.`
            : "If it happens again and again: bf16-mixed, which needs no loss scale.",
        ];
      return [
        `A gradient left the range of its dtype${inModule ? ` at ${place}` : " outside of the modules, in the loss"}: lower the learning rate or the clipping threshold.`,
        ...(inModule ? [`If it happens at the same module again and again: ${overridden}.`] : []),
      ];
    case "forward":
      if (isHalf)
        return [
          `${place} left the range of float16 (±${fp16Max}): ${overridden}. "bf16" instead of "fp32" keeps the speed.`,
          "bf16-mixed has the range of float32 and needs no such override.",
        ];
      return [
        `${place} produced this value from finite inputs in ${report.output?.dtype ?? "float32"}, whose range is rarely the cause: training has diverged. Go back to the last good checkpoint, with a lower learning rate.`,
      ];
    default:
      return [
        "The replay stayed finite: this batch and these weights do not reproduce the fault. Possible causes are errors of memory or hardware, and races in data loading.",
      ];
  }
}

function counts(facts: TensorFacts | undefined): string {
  if (facts === undefined) return "values that are not finite";
  const parts = [
    facts.nan > 0 ? `${facts.nan} NaN` : "",
    facts.infinite > 0 ? `${facts.infinite} infinite` : "",
  ].filter(Boolean);
  return `${parts.join(" and ")} of ${facts.shape.reduce((a, b) => a * b, 1)} values`;
}

/** The report as text for a terminal or a file. */
export function formatOverflowReport(report: OverflowReport): string {
  const { step, precision, scale, files, advice } = report;
  const scaled = precision === "16-mixed" ? `, loss scale ${scale}` : "";
  const evidence = faultEvidence(report);
  return [
    `Step ${step}, ${precision}${scaled}: ${faultHeadline(report)}.`,
    ...(files.length > 0 ? [`Images: ${files.join(", ")}`] : []),
    ...(evidence === "" ? [] : [evidence]),
    advice.map((each) => `→ ${each}`).join("\n"),
  ].join("\n\n");
}
