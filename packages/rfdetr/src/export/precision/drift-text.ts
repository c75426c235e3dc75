// The drift table as text.
import { formatBytes, textTable } from "@rfdetr/amp/text";
import { counted } from "../../support/format.js";
import { fewest, leastScore } from "../proof/compared-queries.js";
import type { Drift, DriftDetection, DriftForm } from "./drift.js";

/** Detections that the text lists. */
const listed = 20;

/**
 * A row for each form of the detector, then the detections that differ most. Errors of boxes are in pixels of the
 * model's input: the largest difference of an edge.
 */
export function driftText({ images, threshold, forms, detections, missing }: Drift): string {
  const shown = detections.filter(({ score }) => score >= threshold).length;
  return `${[
    `${counted(detections.length, "detection")} on ${counted(images, "image")}: a query counts once for each class with a score of ${leastScore} or more, at least the best ${fewest} of an image; ${shown} from ${threshold} on`,
    "",
    "Against libtorch in float32",
    textTable(
      header,
      forms.map((form) => row(form, form.error)),
    ),
    ...maskLines(forms),
    "",
    "Against the form that it is made from",
    textTable(
      ["form", "from", ...header.slice(1, -3)],
      forms.flatMap((form) =>
        form.hop === null ? [] : [[form.name, form.hop.from, ...row(form, form.hop).slice(1, -3)]],
      ),
    ),
    "",
    `The ${Math.min(listed, detections.length)} detections with the largest differences of a score`,
    detectionTable(
      detections,
      forms.slice(1).map(({ name }) => name),
    ),
    ...(missing.length === 0 ? [] : ["", ...missing]),
  ].join("\n")}\n`;
}

const header = ["form", "box max", "box p99", "score max", "score p99", "lost", "flips", "AP", "ms", "size"];

/** How far the masks of each form overlap with those of the first, where the model has masks. */
function maskLines(forms: readonly DriftForm[]): string[] {
  const rows = forms.flatMap(({ name, error, mask_AP: AP }) => {
    const iou = error?.mask_iou;
    if (iou === undefined && AP === undefined) return [];
    const overlaps = iou === undefined ? ["", ""] : [iou.min, iou.mean].map((value) => value.toFixed(4));
    return [[name, ...overlaps, AP === undefined ? "" : AP.toFixed(4)]];
  });
  return rows.length === 0
    ? []
    : ["", "Masks against libtorch in float32", textTable(["form", "IoU min", "IoU mean", "mask AP"], rows)];
}

function row({ name, AP, milliseconds, bytes }: DriftForm, error: DriftForm["error"]): string[] {
  const errors =
    error === null
      ? ["", "", "", "", "", ""]
      : [
          ...[error.box_px.max, error.box_px.p99, error.score.max, error.score.p99].map(short),
          ...[error.lost, error.flips].map(String),
        ];
  return [
    name,
    ...errors,
    AP === null ? "" : AP.toFixed(4),
    milliseconds.toFixed(1),
    bytes === null ? "" : formatBytes(bytes),
  ];
}

function detectionTable(detections: readonly DriftDetection[], names: readonly string[]): string {
  const worst = (each: DriftDetection): number =>
    Math.max(...names.map((name) => Math.abs(each.score - (each.forms[name]?.score ?? 0))));
  const most = [...detections].sort((a, b) => worst(b) - worst(a)).slice(0, listed);
  return textTable(
    ["image", "class", "score", ...names],
    most.map((each) => [
      ...[String(each.image), each.class, each.score.toFixed(3)],
      ...names.map((name) => {
        const form = each.forms[name];
        return form == null ? "none" : `${form.score.toFixed(3)} ${short(form.box_px)} px`;
      }),
    ]),
  );
}

const short = (value: number): string =>
  value === 0 ? "0" : value < 1e-4 ? value.toExponential(0) : value.toPrecision(2);
