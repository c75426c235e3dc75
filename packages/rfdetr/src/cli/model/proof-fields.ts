// What the proof of an exported file shows, for people.

import type { Precision } from "@rfdetr/amp/names";
import { exceptions } from "../../export/export-precisions.js";
import { fewest, leastScore } from "../../export/proof/compared-queries.js";
import type { ExportProof, ProofFigure } from "../../onnx/metadata.js";
import { counted, fraction, grouped, unbroken } from "../../support/format.js";

/** The lines of a proof, each a name and what it says. As in `val`, AP of masks stands before AP of boxes. */
export function proofFields(proof: ExportProof): (readonly [name: string, text: string])[] {
  const { AP, mask_AP: maskAP, best_score: best, threshold, min_mask_iou: iou, max_mask_logit_error: logits } = proof;
  const masks = iou !== undefined && logits !== undefined;
  return [
    ...compared(proof),
    ["boxes", `off by ${proof.max_box_error_px.toPrecision(2)} px in the worst of them`],
    ["scores", `off by ${proof.max_score_error.toPrecision(2)} in the worst of them`],
    ...(masks
      ? [["masks", `IoU at least ${iou.toFixed(4)}, logits off by at most ${logits.toPrecision(2)}`] as const]
      : []),
    [
      "flips",
      best !== undefined && best < threshold
        ? `none, which shows nothing: no score reaches ${threshold}, the best is ${best.toPrecision(2)}`
        : `${counted(proof.flips, "query", "queries")} on the other side of ${threshold}`,
    ],
    ...figure("mask AP", maskAP),
    ...figure(masks ? "box AP" : "AP", AP),
  ];
}

/**
 * Says that `predict` runs the weights in another precision than the proof: their detections differ from the file's.
 * @param precision that predict takes by default
 */
export function predictField(precision: Precision): (readonly [name: string, ...lines: string[]])[] {
  if (precision === "32-true") return [];
  return [
    [
      "predict",
      `runs the weights in ${precision} by default, as val does: detections near a threshold are others than the file's`,
      `${unbroken("--precision 32-true")} gives those of the proof, and ${unbroken("rfdetr doctor --weights FILE --data DIR")} counts what changes`,
    ],
  ];
}

/** What is compared, and why it passes: a few may be beyond the tolerance. Old files do not tell. */
function compared({ queries, within, tolerance }: ExportProof): (readonly [name: string, text: string])[] {
  if (queries === undefined || within === undefined || tolerance === undefined) return [];
  const { box_px: px, score, mask } = tolerance;
  const limit =
    mask === undefined ? `${px} px and ${score} in score` : `${px} px, ${score} in score and IoU ${1 - mask} of masks`;
  const passes = `it passes from ${100 - 100 / exceptions} % on, since candidates of equal scores may change places`;
  return [
    [
      "compared",
      `${counted(queries, "query", "queries")}, each once, whose best class has a score of ${leastScore} or more, at least the best ${fewest} of an image`,
    ],
    ["within", `${grouped(within)} of them, within ${limit}: ${passes}`],
  ];
}

/**
 * A figure of both sides, neither of which is that of an evaluation in another precision; none of −1, which stands for
 * images without objects.
 */
function figure(name: string, values: ProofFigure | undefined): (readonly [name: string, text: string])[] {
  if (values === undefined) return [];
  const [own, file] = [values.ours, values.export].map((value) => fraction(value < 0 ? null : value));
  return [[name, `${file}; the weights, in float32: ${own}`]];
}
