/**
 * Ground truth or detections that cannot be scored. Codes: `ERR_EVAL_ARGUMENT` (arrays that do not fit together or hold
 * values without meaning), `ERR_EVAL_FILE` (a file that cannot be read or is not JSON), `ERR_EVAL_ANNOTATIONS` and
 * `ERR_EVAL_RESULTS` (a COCO file whose entries are wrong; the message names file and entry).
 */
export class EvaluationError extends Error {
  override readonly name = "EvaluationError";
  constructor(
    readonly code: "ERR_EVAL_ARGUMENT" | "ERR_EVAL_FILE" | "ERR_EVAL_ANNOTATIONS" | "ERR_EVAL_RESULTS",
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}
