// The family of errors. Each class has a code of its own that stays the same; messages may change.

/** What an error may carry beside its message. */
interface ErrorDetails {
  cause?: unknown;
  /** What to do about it: a sentence of its own, not part of the message. */
  hint?: string;
}

/**
 * Base of every error that this package throws at a caller, except TypeError and RangeError for wrong arguments.
 *
 * @example
 * try {
 *   loadSafetensors("weights.safetensors");
 * } catch (error) {
 *   if (error instanceof TorchError) console.error(error.code, error.message, error.hint ?? "");
 *   else throw error;
 * }
 */
export abstract class TorchError extends Error {
  abstract readonly code: string;
  /** What to do about it, where the message does not say so. */
  declare readonly hint?: string;

  constructor(message: string, { cause, hint }: ErrorDetails = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    if (hint !== undefined) this.hint = hint;
  }

  /** Recognised by `RfdetrError.is` of rfdetr, which must not import this package: that would load libtorch. */
  get [Symbol.for("rfdetr.error")](): "torch" {
    return "torch";
  }
}

/**
 * The compiled addon, or the libtorch that it needs, is missing or cannot be loaded. What to do: run
 * `npx rfdetr setup`.
 */
export class EngineError extends TorchError {
  readonly code = "ERR_ENGINE";
  constructor(message: string, { cause, hint = "Run `npx rfdetr setup`" }: ErrorDetails = {}) {
    super(message, { cause, hint });
  }
}

/**
 * A tensor was used after its scope ended or after `dispose()`.
 * What to do: return the tensor from its scope, or `keep` it.
 */
export class DisposedError extends TorchError {
  readonly code = "ERR_DISPOSED";
  constructor() {
    super("Expected a live tensor but received one that was disposed");
  }
}

/**
 * libtorch has no such operator, refused its arguments, or failed in it. The message holds the operator, its arguments,
 * libtorch's own text and the path of the module.
 *
 * - `ERR_TORCH`: libtorch failed in an operator. What to do: correct the shapes, types or devices of the arguments;
 *   when memory is short, lower the batch size.
 * - `ERR_INVALID_ARG_TYPE`: An argument has a type that the operator does not take. What to do: pass the type that the
 *   message names.
 * - `ERR_INVALID_ARG_VALUE`: An argument has a value that the operator does not take. What to do: pass a value that the
 *   message names.
 */
export class OperatorError extends TorchError {
  /** `ERR_TORCH`, or `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE` for an argument that is not of the schema. */
  readonly code: string = "ERR_TORCH";
  /** Such as `aten::matmul`; undefined when the error is not from the call of an operator. */
  declare readonly operator?: string;
  /** What it was called with, such as `self: float32[2,3], other: float32[2,3]`. */
  declare readonly arguments?: string;
}

/** Codes of the errors that the addon makes. */
const addonCodes = new Set<unknown>(["ERR_TORCH", "ERR_INVALID_ARG_TYPE", "ERR_INVALID_ARG_VALUE"]);

/** Turns a plain error of the addon into an {@link OperatorError}, in place; everything else passes unchanged. */
export function fromAddon(error: unknown): unknown {
  if (!(error instanceof Error) || Object.getPrototypeOf(error) !== Error.prototype) return error;
  if (!addonCodes.has((error as { code?: unknown }).code)) return error;
  Object.setPrototypeOf(error, OperatorError.prototype);
  error.name = OperatorError.name;
  return error;
}
