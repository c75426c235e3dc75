// The family of errors. Each class has a code of its own that stays the same; messages may change. docs/errors.md is
// made from this file.
import { instanceOf, isPlain } from "./plain.js";
import { shown } from "./shown.js";

/** What an error may carry beside its message. */
export interface ErrorDetails {
  cause?: unknown;
  /** What to do about it: a sentence of its own, shown on the line below the message. */
  hint?: string;
}

/** An error of this package, of `@rfdetr/amp` or of `@rfdetr/torch`. */
export interface KnownError extends Error {
  /** Such as `ERR_CONFIG`; docs/errors.md lists them. */
  readonly code: string;
  readonly hint?: string;
}

/**
 * Bears the name of the package on the prototypes of the three bases. A symbol of the global registry recognises an
 * error without importing its package, because importing `@rfdetr/torch` loads libtorch.
 */
export const family: unique symbol = Symbol.for("rfdetr.error");

/**
 * Base of every error that this package throws at a caller.
 *
 * @example
 * try {
 *   await RFDETR.create("nano", { weights: "best.safetensors" });
 * } catch (error) {
 *   if (RfdetrError.is(error)) console.error(error.code, error.message, error.hint ?? "");
 *   else throw error;
 * }
 */
export abstract class RfdetrError extends Error {
  abstract readonly code: string;
  /** What to do about it, where the message does not say so. */
  declare readonly hint?: string;

  constructor(message: string, { cause, hint }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    if (hint !== undefined) this.hint = hint;
  }

  get [family](): "rfdetr" {
    return "rfdetr";
  }

  /**
   * Whether an error is of this package, of `@rfdetr/amp` or of `@rfdetr/torch`: one with a code that docs/errors.md
   * lists.
   */
  static is(error: unknown): error is KnownError {
    return error instanceof Error && family in error;
  }
}

/**
 * A setting is unknown, has a wrong value or contradicts another. What to do: change the setting that the message
 * names.
 */
export class ConfigError extends RfdetrError {
  readonly code = "ERR_CONFIG";
}

/**
 * An argument of the command or of a call is missing, or has a value that it cannot have.
 * What to do: change the argument that the message names.
 */
export class UsageError extends RfdetrError {
  readonly code = "ERR_USAGE";
}

/**
 * The folder of a run is missing, exists already or cannot be read; or a file or folder that was asked for cannot be
 * written. What to do: give a folder as the message asks for it, or free some space.
 */
export class RunDirectoryError extends RfdetrError {
  readonly code = "ERR_RUN_DIRECTORY";
}

/**
 * Weights or a checkpoint are missing, cannot be read or do not fit the model.
 * What to do: give other weights, or the model that they were trained with.
 */
export class CheckpointError extends RfdetrError {
  readonly code = "ERR_CHECKPOINT";
}

/**
 * A dataset, an annotation or an image cannot be used. What to do: repair the file that the message names; `rfdetr data
 * check` finds all of them.
 */
export class DataError extends RfdetrError {
  readonly code = "ERR_DATA";
}

/**
 * Training went non-finite for good, or the results of a model are not finite. What to do: lower the learning rate or
 * train in 32-true, and use weights from before; `rfdetr numerics` shows where it began.
 */
export class NumericsError extends RfdetrError {
  readonly code = "ERR_NUMERICS";
}

/**
 * The variant of a model is unknown, or the model cannot have such a size.
 * What to do: use one of the variants and sizes that the message names.
 */
export class ModelConfigError extends RfdetrError {
  readonly code = "ERR_MODEL_CONFIG";
}

/**
 * Memory ran out. What to do: give the process more memory, or lower the batch size and the number of threads that load
 * images.
 */
export class MemoryError extends RfdetrError {
  readonly code = "ERR_MEMORY";
}

/**
 * A picture cannot be read or written.
 *
 * - `ERR_PICTURE_INPUT`: The image does not decode. What to do: give a JPEG, PNG or WebP file, or bytes whose size is
 * right.
 * - `ERR_PICTURE_OUTPUT`: The picture cannot be written. What to do: give a path that can be written and ends in .png,
 * .jpg or .webp.
 */
export class PictureError extends RfdetrError {
  constructor(
    readonly code: "ERR_PICTURE_INPUT" | "ERR_PICTURE_OUTPUT",
    message: string,
    details?: ErrorDetails,
  ) {
    super(message, details);
  }
}

/**
 * A video or a camera cannot be read, or a video cannot be written. What to do: install ffmpeg where the message says
 * that there is none; repair a video that is broken; the frames before the fault were read.
 */
export class VideoError extends RfdetrError {
  readonly code = "ERR_VIDEO";
}

/**
 * A model cannot be exported, or an exported file disagrees with it.
 * What to do: change what the message names; a file that disagrees is not kept.
 */
export class ExportError extends RfdetrError {
  readonly code = "ERR_EXPORT";
}

/**
 * Ground truth or detections cannot be scored.
 *
 * - `ERR_EVAL_ARGUMENT`: Arrays do not fit together or hold values without meaning. What to do: correct the array that
 * is named.
 * - `ERR_EVAL_FILE`: A file of annotations or results cannot be read or is not JSON. What to do: check the path and the
 * file.
 * - `ERR_EVAL_ANNOTATIONS`: An entry of a COCO annotation file is wrong. What to do: correct the entry that is named.
 * - `ERR_EVAL_RESULTS`: An entry of a COCO results file is wrong. What to do: correct the entry that is named.
 */
export class EvaluationError extends RfdetrError {
  constructor(
    readonly code: "ERR_EVAL_ARGUMENT" | "ERR_EVAL_FILE" | "ERR_EVAL_ANNOTATIONS" | "ERR_EVAL_RESULTS",
    message: string,
    details?: ErrorDetails,
  ) {
    super(message, details);
  }
}

/**
 * A cost matrix has no assignment.
 *
 * - `ERR_ASSIGNMENT_INVALID`: A cost matrix holds NaN or -Infinity. What to do: replace such costs by one
 * above all others.
 * - `ERR_ASSIGNMENT_INFEASIBLE`: Infinite costs block every pairing. What to do: replace such costs by one
 * above all others.
 */
export class AssignmentError extends RfdetrError {
  constructor(
    readonly code: "ERR_ASSIGNMENT_INVALID" | "ERR_ASSIGNMENT_INFEASIBLE",
    message: string,
    details?: ErrorDetails,
  ) {
    super(message, details);
  }
}

/**
 * One of the processes that train together ended or did not answer. What to do: look at what the message says of that
 * process, then continue the run.
 */
export class RankError extends RfdetrError {
  readonly code = "ERR_RANK";
}

/**
 * Code of a user, a module of callbacks or of an augmentation, does not load, threw, answered what it cannot, or never
 * came to an end. What to do: mend the module that the message names, then continue the run.
 */
export class CustomCodeError extends RfdetrError {
  readonly code = "ERR_CUSTOM_CODE";
}

/** A fault of this program itself: something that it relies on does not hold. What to do: report it, with its stack. */
export class InternalError extends RfdetrError {
  readonly code = "ERR_INTERNAL";
}

/**
 * The sentence of an argument error: `Expected positive integer for batch but received -1 of type number`. Text stands
 * in quotes, without its type: most of it comes from a command line.
 */
export function expected(what: string, name: string, received: unknown): string {
  return `Expected ${what} for ${name} but received ${described(received)}`;
}

/** A value, and its type where that does not show. */
function described(value: unknown): string {
  if (typeof value === "string") return shown(value);
  if (value === null || value === undefined) return String(value);
  if (Array.isArray(value)) return `${shown(value)} of type array`;
  if (typeof value !== "object") return `${String(value)} of type ${typeof value}`;
  return isPlain(value) ? `${shown(value)} of type object` : instanceOf(value);
}

/**
 * Codes of the family that tell of a fault of this program when they reach the command: it calls the engine, not its
 * user.
 */
const faults: ReadonlySet<string> = new Set([
  "ERR_INTERNAL",
  "ERR_TORCH",
  "ERR_INVALID_ARG_TYPE",
  "ERR_INVALID_ARG_VALUE",
  "ERR_DISPOSED",
  "ERR_GRAD_SCALER",
]);

/** Adds what to do about an error, after what is said already. @returns the same error */
export function addHint<T extends KnownError>(error: T, hint: string): T {
  return Object.assign(error, { hint: error.hint === undefined ? hint : `${error.hint}. ${hint}` });
}

/** Whether a user can act on an error: it is of the family and no fault of this program. Its message needs no stack. */
export function isUserError(error: unknown): error is KnownError {
  return RfdetrError.is(error) && !faults.has(error.code);
}
